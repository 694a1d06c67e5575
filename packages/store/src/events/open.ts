/**
 * Opens a member's event store: the state from its folder, or rebuilt from the newest snapshot when the folder is behind
 * it, empty or damaged. What is missing after that comes from the log: the driver applies it again from `applied` on.
 */
import { rename, rm } from "node:fs/promises";
import type { DomainEvent } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import type { EntryId, LogView, SnapMeta, SnapshotStore } from "@aether/raft/types";
import { isEnvironment } from "../log/folder.ts";
import { noPace } from "../pace.ts";
import { readRows } from "../snapshots.ts";
import type { EventStore, EventStoreOptions, StoreTiming } from "../types.ts";
import { emptyState } from "./applied-state.ts";
import type { AppliedState } from "./applied-state.ts";
import { MemberEventStore } from "./event-store.ts";
import { noPacks } from "./pack-list.ts";
import { restoreSnapshot } from "./snapshot-stream.ts";
import { openLevelState } from "./state-db.ts";
import type { StateDb } from "./state-db.ts";
import { StateDisk } from "./state-disk.ts";
import { loadState } from "./state-load.ts";
import { emptyDisk, headOf } from "./state-meta.ts";
import { eventLoop } from "./timing.ts";
import { Damaged } from "./value-codec.ts";

/** Neither state, snapshot nor log together reach back far enough: this member has to be replaced. */
export class StateLost extends Error {
  override readonly name = "StateLost";
}

/**
 * Rejects with {@link StateLost}, or when another process holds the folder or a newer build wrote it. `log` must be open:
 * entries, watches and audit ranges are read from it. `installed` is the snapshot that the log says it was begun anew with, if any.
 */
export function openEventStore(
  options: EventStoreOptions,
  registry: Registry,
  log: LogView,
  snapshots: SnapshotStore,
  installed: SnapMeta | null = null,
): Promise<EventStore> {
  return openEventStoreOn({ open: openLevelState, setAside }, options, registry, log, snapshots, installed);
}

/** Where states lie: LevelDB folders, a simulator's, or some that fail on demand. */
export interface StateFolders {
  readonly open: (dir: string) => Promise<StateDb>;
  /** Moves a damaged one away, so that the next open finds nothing there. */
  readonly setAside: (dir: string) => Promise<void>;
}

/** The same on other folders than LevelDB's. */
export async function openEventStoreOn(
  folders: StateFolders,
  options: EventStoreOptions,
  registry: Registry,
  log: LogView,
  snapshots: SnapshotStore,
  installed: SnapMeta | null = null,
): Promise<EventStore> {
  const { state, disk, isCheckpoint } = await openStateOn(folders, options, registry, log, snapshots, installed);
  return new MemberEventStore({ options, registry, log, snapshots, isCheckpoint, state, disk });
}

export interface OpenedState {
  readonly state: AppliedState;
  /** The caller's to close. */
  readonly disk: StateDisk;
  readonly isCheckpoint: (e: DomainEvent) => boolean;
}

/** The state alone, as it is before the log is applied again. Rejects as {@link openEventStore} does. */
export async function openStateOn(
  folders: StateFolders,
  options: Pick<EventStoreOptions, "dir" | "isCheckpoint" | "timing" | "onRecovered">,
  registry: Registry,
  log: LogView,
  snapshots: SnapshotStore,
  installed: SnapMeta | null,
): Promise<OpenedState> {
  const isCheckpoint = options.isCheckpoint ?? ((e: DomainEvent) => e.type === "CheckpointRecorded");
  const folder = { openDb: folders.open, dir: options.dir, registry, isCheckpoint, log, timing: options.timing ?? eventLoop };
  const opened = await openFolder(folder).catch(async (error: unknown) => {
    if (!isDamage(error)) throw error;
    await folders.setAside(options.dir);
    options.onRecovered?.(error instanceof Error ? error.message : String(error));
    return openFolder(folder);
  });
  const { disk } = opened;
  let { state } = opened;
  try {
    const latest = snapshots.latest();
    const ofLog = [latest, installed].find((m) => m !== null && isOfLog(m.id, log) && snapshots.has(m)) ?? null;
    if (ofLog !== null && ofLog.id.index > state.applied.index) {
      state = await restoreSnapshot(disk, ofLog, readRows(snapshots, ofLog), registry, isCheckpoint, noPace);
    }
    if (log.first() > state.applied.index + 1) {
      const have = latest === null ? "there is no snapshot" : `the newest snapshot is at ${latest.id.index}`;
      const ends = `the state ends at ${state.applied.index}, ${have}`;
      throw new StateLost(`${ends}, and the log begins at ${log.first()}: replace this member`);
    }
    return { state, disk, isCheckpoint };
  } catch (error) {
    await disk.db.close();
    throw error;
  }
}

interface Folder {
  readonly openDb: (dir: string) => Promise<StateDb>;
  readonly dir: string;
  readonly registry: Registry;
  readonly isCheckpoint: (e: DomainEvent) => boolean;
  readonly log: LogView;
  readonly timing: StoreTiming;
}

async function openFolder({
  openDb,
  dir,
  registry,
  isCheckpoint,
  log,
  timing,
}: Folder): Promise<{ state: AppliedState; disk: StateDisk }> {
  const db = await openDb(dir);
  try {
    const loaded = await loadState(db, registry, isCheckpoint);
    if (loaded !== null) checkHistory(loaded.meta.applied, log);
    if (loaded !== null) return { state: loaded.state, disk: new StateDisk(db, loaded.meta, loaded.packs, timing) };
    const state = emptyState(registry, isCheckpoint);
    return { state, disk: new StateDisk(db, { ...headOf(state), generation: 1, disk: emptyDisk }, noPacks(), timing) };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** Rows of another history than the log's must not be built upon. */
function checkHistory({ index, term }: EntryId, log: LogView): void {
  const known = log.term(index);
  if (typeof known === "number" && known !== term) {
    throw new Damaged(`the state is of entry ${index} in term ${term}, the log has that entry in term ${known}`);
  }
}

/**
 * A snapshot that was received when the process died may not have been taken into the log. Rows of it would be ahead of the
 * log, or stand on entries that were never committed; its sender offers it again.
 */
const isOfLog = ({ index, term }: EntryId, log: LogView): boolean => log.term(index) === term;

/**
 * A folder another process holds is not damaged; nor is one that a newer build wrote, nor one that the machine does not let
 * LevelDB open: on a full disk the rows would be moved aside, and nothing put in their place.
 */
function isDamage(error: unknown): boolean {
  if (error instanceof Damaged) return true;
  if (isEnvironment(error)) return false;
  const cause = (error as { cause?: unknown } | undefined)?.cause;
  return codeOf(error).startsWith("LEVEL_") && codeOf(cause) !== "LEVEL_LOCKED" && codeOf(error) !== "LEVEL_LOCKED";
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : "";
}

/** Keeps the damaged folder for forensics: the newest one, so that a failing disk does not fill up with them. */
export async function setAside(dir: string): Promise<void> {
  await rm(`${dir}-damaged`, { recursive: true, force: true });
  await rename(dir, `${dir}-damaged`);
}
