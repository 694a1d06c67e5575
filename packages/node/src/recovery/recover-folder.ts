/**
 * `aether cluster recover`: a data folder goes on as the only member of a new cluster. The old folder is only read; everything new is made
 * in `<dataDir>/recovering/` and moved into place at the end, part by part, under the folder's lock. Killed anywhere, it is begun anew or finished.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Identity } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { FolderBusy } from "@aether/store/log/errors";
import { exists, inspectFolder, lockPath, syncFolder, writeIdentity } from "@aether/store/log/folder";
import type { FolderIdentity } from "@aether/store/log/keys";
import { type FolderLock, lockFolder } from "@aether/store/log/level";
import { copiedFolder } from "@aether/store/recover/copied-folder";
import { type Recovered, recoverDisk, type Unusable } from "@aether/store/recover/recover";
import { writeDurably } from "../member/durable-file.ts";
import { openFloors } from "../member/floors.ts";
import { writeSeats } from "../member/seats.ts";
import { copyParts } from "./copy-parts.ts";
import { readRecovered, type RecoveredFile, writeRecovered } from "./recovered-file.ts";

export interface RecoverFolderWish {
  /** The data folder that is left. */
  readonly source: string;
  /** The data folder that the new member will have; the same, unless the disk was brought from elsewhere. */
  readonly target: string;
  readonly clusterId: string;
  /** Where the member will listen, "host:port"; null: where it did. */
  readonly address: string | null;
  readonly actor: Identity;
  /** Unix milliseconds. */
  readonly now: number;
  /** Told before each durable step; a test may end it there. */
  readonly onStep?: OnStep;
}

export type RecoveryStep = "copy" | "recover" | "seats" | "identity" | "decide" | "retire" | "place" | "finish";
export type OnStep = (step: RecoveryStep) => Promise<void>;
const goOn: OnStep = () => Promise.resolve();

/** What others told this member: an entry up to here was committed, though this disk may not have it. */
export interface FolderReport extends Recovered {
  /** The highest index that this disk knows to have been committed anywhere; above `upTo`, what lies between is surely lost. */
  readonly committedAnywhere: number;
}

/** Why nothing can be done with the folder. `busy`: a process has it open. */
export type FolderUnusable = Unusable | (Omit<Unusable, "unusable"> & { readonly unusable: "busy" });

export interface PreparedRecovery {
  readonly report: FolderReport;
  /** Moves everything into place and keeps the old parts; resolves with the folder they are kept in. */
  commit(): Promise<string>;
  /** Leaves everything as it was; does nothing any more when commit was called. */
  discard(): Promise<void>;
}

const recoveringFolder = (dataDir: string): string => join(dataDir, "recovering");
/** In this order, the identity last: without it nothing takes a folder for a member's. */
const parts = ["log", "guard", "state", "snap", "members.json", "floors.json", "identity.json"];

/** Makes the new member's parts beside the old ones. Nothing that was there is changed; the folders stay locked until commit or discard. */
export async function prepareRecovery(wish: RecoverFolderWish): Promise<PreparedRecovery | FolderUnusable> {
  const { source, target } = wish;
  const found = await inspectFolder(source);
  if (found.state === "unformatted") return nothingIn(source);
  if (found.state !== "formatted")
    return withoutIdentity(source, found.state === "unreadable" ? found.detail : "identity.json is gone");
  const fresh = !(await exists(target));
  const locks = await lockAll([...new Set([source, target])]);
  if ("unusable" in locks) return locks;
  let decided = false;
  const unlock = async (): Promise<void> => {
    for (const lock of locks) await lock.release();
  };
  const discard = async (): Promise<void> => {
    if (decided) return;
    await rm(recoveringFolder(target), { recursive: true, force: true });
    await unlock();
    if (fresh) await rm(target, { recursive: true, force: true });
  };
  try {
    const made = await makeParts(wish, found.identity);
    if ("unusable" in made) await discard();
    if ("unusable" in made) return made;
    const commit = async (): Promise<string> => {
      decided = true;
      try {
        return await putInPlace(wish, made);
      } finally {
        await unlock();
      }
    };
    return { report: made, commit, discard };
  } catch (error) {
    await unlock();
    throw error;
  }
}

const nothingIn = (source: string): FolderUnusable => ({
  unusable: "nothing",
  why: `${source} is not the data folder of a member: there is no log in it`,
  hint: "a member's data folder holds identity.json, guard, log/, state/ and snap/",
});

const withoutIdentity = (source: string, detail: string): FolderUnusable => ({
  unusable: "damaged",
  why: `nothing says whose log lies in ${source}: ${detail}`,
  hint: "put identity.json back from a copy, or recover from another member's disk or from a backup",
});

async function lockAll(folders: readonly string[]): Promise<readonly FolderLock[] | FolderUnusable> {
  const held: FolderLock[] = [];
  for (const folder of folders) {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const lock = await lockFolder(lockPath(folder)).catch((error: unknown) => {
      if (error instanceof FolderBusy) return null;
      throw error;
    });
    if (lock !== null) {
      held.push(lock);
      continue;
    }
    for (const other of held) await other.release();
    return {
      unusable: "busy",
      why: `another process has ${folder} open: a daemon runs on it`,
      hint: "aether cluster stop ends the daemons",
    };
  }
  return held;
}

async function makeParts(wish: RecoverFolderWish, from: FolderIdentity): Promise<FolderReport | Unusable> {
  const { source, target, clusterId, address, actor, now, onStep = goOn } = wish;
  const making = recoveringFolder(target);
  await rm(making, { recursive: true, force: true });
  await onStep("copy");
  await copyParts(source, making);
  await onStep("recover");
  const made = await recoverDisk(await copiedFolder(making, from), { from, clusterId, address, actor, now }, registry);
  if ("unusable" in made) return made;
  const floors = await openFloors(join(source, "floors.json"), from.clusterId);
  const anywhere = Math.max(made.committed, ...Object.values(floors.all()).map(({ index }) => index));
  await onStep("seats");
  await writeSeats(making, clusterId, [{ name: made.node, member: made.member.id, address: made.address }]);
  await writeDurably(join(making, "floors.json"), `${JSON.stringify({ clusterId, floors: {} })}\n`);
  await onStep("identity");
  await writeIdentity(making, { clusterId, nodeId: made.member.id });
  return { ...made, committedAnywhere: anywhere };
}

/** From its first write on it is decided: whatever happens, running it again goes on, see {@link finishRecovery}. */
async function putInPlace({ target, clusterId, onStep = goOn }: RecoverFolderWish, report: FolderReport): Promise<string> {
  const retired = await freeName(target, report.member.old);
  const file: RecoveredFile = { state: "moving", clusterId, member: report.member.id, retired, report };
  await onStep("decide");
  await writeRecovered(target, file);
  return moveParts(target, file, onStep);
}

async function freeName(target: string, member: number): Promise<string> {
  const taken = new Set(await readdir(target));
  for (let n = 1; ; n++) if (!taken.has(`retired-${member}-recovered-${n}`)) return `retired-${member}-recovered-${n}`;
}

/** A part is moved when it is not in `recovering/` any more; only then is what lies in its place the new one. */
async function moveParts(target: string, file: RecoveredFile, onStep: OnStep): Promise<string> {
  const making = recoveringFolder(target);
  const kept = join(target, file.retired);
  await mkdir(kept, { recursive: true });
  for (const part of parts) {
    if (!(await exists(join(making, part)))) continue;
    await onStep("retire");
    if (await exists(join(target, part))) await rename(join(target, part), join(kept, part));
    await onStep("place");
    await rename(join(making, part), join(target, part));
  }
  await syncFolder(kept);
  await syncFolder(target);
  await onStep("finish");
  await writeRecovered(target, { ...file, state: "done" });
  await rm(making, { recursive: true, force: true });
  return kept;
}

export interface FinishedRecovery {
  readonly report: FolderReport;
  readonly retired: string;
}

/** Finishes a recovery into `clusterId` whose moving had begun. Null when it had not: then nothing was changed. Rejects with FolderBusy. */
export async function finishRecovery(target: string, clusterId: string): Promise<FinishedRecovery | null> {
  const file = await readRecovered(target);
  if (file === null || file.clusterId !== clusterId) return null;
  const finished = { report: file.report as FolderReport, retired: join(target, file.retired) };
  if (file.state === "done") return finished;
  const lock = await lockFolder(lockPath(target));
  try {
    await moveParts(target, file, goOn);
  } finally {
    await lock.release();
  }
  return finished;
}
