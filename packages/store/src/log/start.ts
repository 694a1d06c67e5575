/**
 * From bytes to a verdict: everything a folder's log holds is checked once, and only a log that is whole becomes a
 * storage. Works on ports, so the simulator and the product share it.
 */
import { encodeConfigChange } from "@aether/raft/config-change";
import { type Entry, type Index, Kind, type LogStorage, type NodeId, type OpenVerdict } from "@aether/raft/types";
import { encodeBlock } from "./block.ts";
import { encodeGuard, type Guard, guardOwner, type GuardPace, GuardWriter, readGuard, type Slot } from "./guard.ts";
import {
  blockKey,
  encodeFloor,
  encodeFormat,
  encodeHard,
  encodeSnap,
  floorKey,
  type FolderIdentity,
  formatKey,
  hardKey,
  noSnapshot,
  snapKey,
} from "./keys.ts";
import { type GuardFile, guardSlotBytes, type KeyValue, type LogClock, type Op, systemClock } from "./ports.ts";
import { DurableLog } from "./storage.ts";
import { checkGuard, type Foreign, type Found, type Lost, verifyLog } from "./verify.ts";

export interface LogPorts {
  readonly keyValue: KeyValue;
  readonly guard: GuardFile;
}

export interface StartOptions {
  readonly clock: LogClock;
  /** Bytes of the newest entries kept in memory. */
  readonly cacheBytes: number;
  readonly pace: GuardPace;
  /**
   * An index that this member is known to have held by evidence from outside the log: its state's applied index, or
   * what a leader has recorded of it. A log that ends below is `lost` as `belowFloor`.
   */
  readonly floor: Index;
  /** The database's own write-ahead log ended inside a record that was never synced. */
  readonly torn: boolean;
}

export const startDefaults: StartOptions = {
  clock: systemClock,
  cacheBytes: 8 * 1024 * 1024,
  pace: { everyMs: 100, everyEntries: 1024 },
  floor: 0,
  torn: false,
};

/** `storage` exists when the verdict is clean or tornTail. */
export interface Opened {
  readonly verdict: OpenVerdict;
  readonly storage?: LogStorage;
}

/** Verifies and starts the log on open ports; closes them when the verdict is lost or foreign. Never rejects on bad data. */
export async function startLog(ports: LogPorts, identity: FolderIdentity, options: Partial<StartOptions> = {}): Promise<Opened> {
  const { clock, pace, cacheBytes, floor, torn } = { ...startDefaults, ...options };
  const owner = guardOwner(identity);
  let log: DurableLog | null = null;
  const slot = await readGuard(ports.guard);
  const found = await verifyLog(ports.keyValue, identity, { cacheBytes, onDamage: (error) => log?.fail(error) });
  const refusal = found.v === "found" ? judge(found, slot, owner, floor) : found;
  if (found.v !== "found" || slot === undefined || refusal !== null) {
    await closePorts(ports);
    return { verdict: withFloor(refusal as Lost | Foreign, slot) };
  }
  const { blocks, hard, snap, stale } = found;
  const makeGuard = (onFailed: (e: Error) => void): GuardWriter =>
    new GuardWriter({ file: ports.guard, clock, pace, onFailed }, owner, slot);
  log = new DurableLog({ keyValue: ports.keyValue, clock, blocks, hard, snap: snap.id, stale }, makeGuard);
  try {
    await log.begin();
  } catch (error) {
    await closePorts(ports);
    throw error;
  }
  const boot = { hard, snap, last: blocks.last() };
  return { verdict: torn ? { v: "tornTail", boot, droppedAfter: boot.last.index } : { v: "clean", boot }, storage: log };
}

async function closePorts({ guard, keyValue }: LogPorts): Promise<void> {
  await guard.close();
  await keyValue.close().catch(() => undefined);
}

function judge(found: Found, slot: Slot | undefined, owner: number, floor: Index): Lost | Foreign | null {
  const { index } = found.blocks.last();
  if (slot === undefined) {
    return {
      v: "lost",
      why: "unreadable",
      floor: index,
      detail: "the guard file holds no whole record, so nothing proves that the log is whole",
    };
  }
  return slot.owner === owner
    ? checkGuard(found, slot.guard, floor)
    : { v: "foreign", why: "the guard file is another member's" };
}

/** The highest index that is known to have been promised, whatever the log itself still says. */
const withFloor = (verdict: Lost | Foreign, slot: Slot | undefined): Lost | Foreign =>
  verdict.v === "lost" ? { ...verdict, floor: Math.max(verdict.floor, slot?.guard.last.index ?? 0) } : verdict;

/**
 * Writes a new log into an empty database and the guard's first slot. With `firstVoters`, entry 1 is the config entry that adds
 * them all and is committed, alike on every first member; without, the log is empty, for a member that joins.
 */
export async function writeFirstLog(
  ports: LogPorts,
  identity: FolderIdentity,
  firstVoters: readonly NodeId[] | null,
): Promise<void> {
  const { guard, ops } = firstLog(identity, firstVoters);
  await ports.keyValue.batch(ops, { sync: true });
  await ports.guard.write(0, encodeGuard(0, guardOwner(identity), guard));
  await ports.guard.write(1, Buffer.alloc(guardSlotBytes));
}

function firstLog(
  identity: FolderIdentity,
  firstVoters: readonly NodeId[] | null,
): { readonly guard: Guard; readonly ops: Op[] } {
  const start = { id: { term: 0, index: 0 }, chain: 0 };
  const ops = [put(formatKey, encodeFormat(identity)), put(floorKey, encodeFloor(start)), put(snapKey, encodeSnap(noSnapshot))];
  let last = start;
  if (firstVoters !== null) {
    const { head, value } = encodeBlock([firstEntry(firstVoters)], 0, 1, start.id, start.chain);
    ops.push(put(blockKey(1), value));
    last = { id: { term: 1, index: 1 }, chain: head.chain };
  }
  const hard = { term: last.id.term, vote: 0, commit: last.id.index };
  ops.push(put(hardKey, encodeHard({ hard, last: last.id, chain: last.chain, snap: noSnapshot.id })));
  return { guard: { term: hard.term, vote: 0, last: last.id, chain: last.chain }, ops };
}

/** Entry 1 of every log: the same bytes whatever order the voters are named in. */
export function firstEntry(firstVoters: readonly NodeId[]): Entry {
  const changes = [...new Set(firstVoters)].toSorted((a, b) => a - b).map((id) => ({ op: "addVoter", id }) as const);
  const data = encodeConfigChange({ changes, transition: "auto", leave: false, context: new Uint8Array(0) });
  return { term: 1, index: 1, kind: Kind.config, data };
}

/** True when the database is empty, or holds exactly what {@link writeFirstLog} would write and nothing more. */
export async function isFirstLog(
  keyValue: KeyValue,
  identity: FolderIdentity,
  firstVoters: readonly NodeId[] | null,
): Promise<boolean> {
  const expected = new Map(
    firstLog(identity, firstVoters).ops.map((op) => [hex(op.key), op.type === "put" ? hex(op.value) : ""]),
  );
  for await (const page of keyValue.pages()) {
    for (const [key, value] of page) if (expected.get(hex(key)) !== hex(value)) return false;
  }
  return true;
}

/** True when the guard says no more than {@link writeFirstLog} would; a guard that was never written says nothing. */
export async function isFirstGuard(
  file: GuardFile,
  identity: FolderIdentity,
  firstVoters: readonly NodeId[] | null,
): Promise<boolean> {
  const slot = await readGuard(file);
  if (slot === undefined) return true;
  const first = encodeGuard(slot.seq, guardOwner(identity), firstLog(identity, firstVoters).guard);
  return first.equals(encodeGuard(slot.seq, slot.owner, slot.guard));
}

const put = (key: Buffer, value: Buffer): Op => ({ type: "put", key, value });
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
