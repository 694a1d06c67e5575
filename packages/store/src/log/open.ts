/** The log of a member's data folder: formatting it once, and opening it with a verdict ever after. */
import { mkdir, readdir } from "node:fs/promises";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { NodeId } from "@aether/raft/types";
import { FolderBusy } from "./errors.ts";
import {
  exists,
  type FolderState,
  guardPath,
  inspectFolder,
  isEnvironment,
  lockPath,
  logFolder,
  orMissing,
  syncFolder,
  writeIdentity,
} from "./folder.ts";
import { createGuardFile, openGuardFile } from "./guard-file.ts";
import { readGuard } from "./guard.ts";
import type { FolderIdentity } from "./keys.ts";
import { type FolderLock, lockFolder, openLevel } from "./level.ts";
import { inspectDatabase } from "./leveldb/inspect.ts";
import { isFirstGuard, isFirstLog, type LogPorts, type Opened, startLog, type StartOptions, writeFirstLog } from "./start.ts";
import type { Foreign, Lost } from "./verify.ts";

/** `created` is false when the folder had been formatted for the same member before: then nothing was touched. */
export type FormatResult = { readonly ok: true; readonly created: boolean } | { readonly ok: false; readonly why: string };

/**
 * Makes `dir` the data folder of one member, durably. With `firstVoters`, for a first member: entry 1 adds them all. With null, for
 * one that joins. Repeating it is safe, also after a crash in the middle; a folder with other data is refused. Rejects with
 * FolderBusy when the folder is in use, and with the system's error when the disk refuses.
 */
export async function formatLog(
  dir: string,
  identity: FolderIdentity,
  firstVoters: readonly NodeId[] | null,
): Promise<FormatResult> {
  checkIdentity(identity);
  await mkdir(dir, { recursive: true });
  const found = await inspectFolder(dir);
  if (found.state === "unreadable") return { ok: false, why: `${dir} holds data, but ${found.detail}` };
  if (found.state === "formatted") {
    const { clusterId, nodeId } = found.identity;
    if (clusterId === identity.clusterId && nodeId === identity.nodeId) return { ok: true, created: false };
    return { ok: false, why: `${dir} is the data folder of member ${nodeId} of cluster ${clusterId}` };
  }
  const lock = await lockFolder(lockPath(dir));
  try {
    const why = await writeFolder(dir, identity, firstVoters);
    return why === null ? { ok: true, created: true } : { ok: false, why: `${dir} holds ${why}: move it away first` };
  } finally {
    await lock.release();
  }
}

/**
 * Resolves with what is in the way, or null when done. Without an identity there may be a formatting that was cut off; anything
 * more was some member's log once.
 */
async function writeFolder(dir: string, identity: FolderIdentity, firstVoters: readonly NodeId[] | null): Promise<string | null> {
  if (!(await fitsFirstGuard(guardPath(dir), identity, firstVoters))) return "the guard of an older log";
  if (!(await isUsable(logFolder(dir)))) return "a damaged log without the identity.json that belongs to it";
  const keyValue = await openLevel(logFolder(dir), { create: true });
  try {
    if (!(await isFirstLog(keyValue, identity, firstVoters))) return "a log without the identity.json that belongs to it";
    const guard = await createGuardFile(guardPath(dir));
    try {
      await failpoints.at?.("beforeFormat");
      await writeFirstLog({ keyValue, guard }, identity, firstVoters);
    } finally {
      await guard.close();
    }
  } finally {
    await keyValue.close();
  }
  await syncFolder(logFolder(dir));
  await writeIdentity(dir, identity);
  return null;
}

/** Nothing of a database, one whose creation was cut off before it held anything, or one whose files are as written. */
async function isUsable(folder: string): Promise<boolean> {
  const names = (await readdir(folder).catch(orMissing)) ?? [];
  if (!names.includes("CURRENT")) return !names.some((name) => /\.(ldb|log)$/.test(name));
  return (await inspectDatabase(folder)).state !== "damaged";
}

async function fitsFirstGuard(path: string, identity: FolderIdentity, firstVoters: readonly NodeId[] | null): Promise<boolean> {
  if (!(await exists(path))) return true;
  const file = await openGuardFile(path);
  try {
    return await isFirstGuard(file, identity, firstVoters);
  } finally {
    await file.close();
  }
}

function checkIdentity({ clusterId, nodeId }: FolderIdentity): void {
  if (!/^[0-9a-f]{32}$/.test(clusterId)) throw new RangeError(`cluster id "${clusterId}" is not 32 hex digits`);
  if (!Number.isInteger(nodeId) || nodeId < 1 || nodeId > 0xffffffff)
    throw new RangeError(`member id ${nodeId} is not in 1..2^32-1`);
}

/**
 * Opens the log of a formatted folder. Bad data is a verdict, never an exception; a verdict of lost or foreign leaves no
 * file open. Rejects with {@link FolderBusy} when the folder is in use, with LogFailed when the disk refuses a write, and
 * with the system's error when the machine refuses to read (no permission, no more files): that says nothing of the data.
 */
export async function openLog(
  dir: string,
  identity: FolderIdentity,
  options: Partial<Omit<StartOptions, "torn">> = {},
): Promise<Opened> {
  const found = await inspectFolder(dir);
  if (found.state === "unformatted") return { verdict: { v: "foreign", why: `${dir} was never formatted` } };
  const lock = await lockFolder(lockPath(dir));
  try {
    const ports = await openLogPorts(dir, identity, found);
    const opened: Opened =
      "v" in ports ? { verdict: ports } : await startLog(held(ports, lock), identity, { ...options, torn: ports.torn });
    if (opened.storage === undefined) await lock.release();
    return opened;
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** The folder's lock lasts as long as its database is open. */
const held = ({ keyValue, guard }: OpenPorts, lock: FolderLock): LogPorts => ({
  guard,
  keyValue: {
    ...keyValue,
    close: async () => {
      await keyValue.close();
      await lock.release();
    },
  },
});

export interface OpenPorts extends LogPorts {
  /** The database's own write-ahead log ended inside a record that was never synced. */
  readonly torn: boolean;
}

/** The files of a log that nobody else has open, `found` being what {@link inspectFolder} says of the folder. */
export async function openLogPorts(
  dir: string,
  identity: FolderIdentity,
  found: FolderState,
): Promise<OpenPorts | Lost | Foreign> {
  if (found.state === "unreadable") return unreadable(found.detail);
  if (found.state !== "formatted") return unreadable("identity.json is gone, though a log or its guard is here");
  const { clusterId, nodeId } = found.identity;
  if (clusterId !== identity.clusterId || nodeId !== identity.nodeId) {
    return { v: "foreign", why: `${dir} is the data folder of member ${nodeId} of cluster ${clusterId}` };
  }
  const guard = await openGuardFile(guardPath(dir)).catch(orMissing);
  if (guard === undefined) return unreadable("the guard file is gone, so nothing proves that the log is whole");
  const database = await openDatabase(logFolder(dir)).catch(async (error: Error) => {
    await guard.close();
    throw error;
  });
  if (!("v" in database)) return { ...database, guard };
  const promised = await readGuard(guard);
  await guard.close();
  return { ...database, floor: promised?.guard.last.index ?? 0 };
}

/** A database whose own files are altered is left as it is: opening would replay what verifies, delete the rest, or end the process. */
async function openDatabase(folder: string): Promise<Pick<OpenPorts, "keyValue" | "torn"> | Lost> {
  const files = await inspectDatabase(folder).catch(orUnreadable);
  if ("v" in files) return files;
  if (files.state === "damaged") return { ...unreadable(`a file of the log database is altered: ${files.detail}`), why: "crc" };
  const keyValue = await openLevel(folder, { create: false }).catch(orUnreadable);
  return "v" in keyValue ? keyValue : { keyValue, torn: files.state === "torn" };
}

const unreadable = (detail: string): Lost => ({ v: "lost", why: "unreadable", floor: 0, detail });

function orUnreadable(error: Error): Lost {
  if (error instanceof FolderBusy || isEnvironment(error)) throw error;
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return unreadable(`the log database does not open: ${error.message}${cause}`);
}
