/** The files of a member's data folder that make it that member's, and how to write files that survive a power cut. */
import { mkdir, open, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { failpoints } from "@aether/core/kernel/failpoint";
import { type FolderIdentity, formatVersion } from "./keys.ts";

export const logFolder = (dir: string): string => join(dir, "log");
export const lockPath = (dir: string): string => join(dir, "lock");
export const guardPath = (dir: string): string => join(dir, "guard");
const identityPath = (dir: string): string => join(dir, "identity.json");

/**
 * `unformatted`: nothing of a log here. `remains`: a log or guard without the identity that formatting writes last.
 * `unreadable`: the identity is there and is not what was written.
 */
export type FolderState =
  | { readonly state: "unformatted" }
  | { readonly state: "remains" }
  | { readonly state: "formatted"; readonly identity: FolderIdentity }
  | { readonly state: "unreadable"; readonly detail: string };

/** What `dir` was formatted for. Never rejects for a folder or file that is missing. */
export async function inspectFolder(dir: string): Promise<FolderState> {
  const text = await readFile(identityPath(dir), "utf8").catch(orMissing);
  if (text !== undefined) return parseIdentity(text);
  const held = (await exists(logFolder(dir))) || (await exists(guardPath(dir)));
  return held ? { state: "remains" } : { state: "unformatted" };
}

function parseIdentity(text: string): FolderState {
  try {
    const { format, clusterId, nodeId, check } = JSON.parse(text) as FolderIdentity & { format: number; check: number };
    if (check === identityCheck(format, { clusterId, nodeId })) return { state: "formatted", identity: { clusterId, nodeId } };
  } catch {
    // Not JSON any more: as altered as a wrong check.
  }
  return { state: "unreadable", detail: "identity.json is not as it was written" };
}

const identityCheck = (format: number, { clusterId, nodeId }: FolderIdentity): number =>
  crc32(`${format}/${clusterId}/${nodeId}`);

/** Durable when it resolves; a crash leaves the whole file or none. */
export async function writeIdentity(dir: string, { clusterId, nodeId }: FolderIdentity): Promise<void> {
  const check = identityCheck(formatVersion, { clusterId, nodeId });
  const temporary = `${identityPath(dir)}.tmp`;
  await failpoints.at?.("beforeIdentity");
  await writeFile(temporary, `${JSON.stringify({ format: formatVersion, clusterId, nodeId, check })}\n`, { flush: true });
  await rename(temporary, identityPath(dir));
  await syncFolder(dir);
  await failpoints.at?.("afterIdentity");
}

/** Makes a file's bytes durable. */
export async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes the names in a folder durable: created, renamed and deleted files survive a power cut only after this. */
export const syncFolder = (dir: string): Promise<void> => syncFile(dir);

export const exists = async (path: string): Promise<boolean> => (await stat(path).catch(orMissing)) !== undefined;

const environment = new Set(["EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "ENOSPC", "EDQUOT", "EROFS"]);
const environmentText =
  /Permission denied|Too many open files|Cannot allocate memory|No space left|Disk quota exceeded|Read-only file system/;

/** Did the machine refuse, rather than the data fail? Then nothing can be said about the data. `causes` are looked at too. */
export function isEnvironment(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    environment.has((error as NodeJS.ErrnoException).code ?? "") ||
    environmentText.test(error.message) ||
    isEnvironment(error.cause)
  );
}

/** For a catch: undefined when the file is not there, everything else goes on as an error. */
export function orMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

const retiredMax = 10_000;
/** The identity goes last: until it has gone the folder still counts as this member's, and retiring can be repeated. */
const parts = ["state", "snap", "log", "guard", "identity.json"];

/**
 * Moves all that a member had into `retired-<member>-<verdict>-<n>/` beside it, for forensics, so that the data folder can be
 * formatted anew for another member id. `verdict` becomes part of the name, e.g. "lost-crc". Resolves with the new path.
 */
export async function retireFolder(dir: string, verdict: string): Promise<string> {
  const found = await inspectFolder(dir);
  const member = found.state === "formatted" ? String(found.identity.nodeId) : "unknown";
  const prefix = `retired-${member}-${verdict.replaceAll(/[^A-Za-z0-9-]/g, "-")}-`;
  const taken = new Set(await readdir(dir));
  let n = 1;
  while (taken.has(`${prefix}${n}`)) n++;
  if (n > retiredMax) throw new Error(`${dir} holds ${n - 1} retired folders: delete some of them`);
  const retired = join(dir, `${prefix}${n}`);
  await failpoints.at?.("beforeRetire");
  await mkdir(retired);
  for (const part of parts) {
    if (!taken.has(part)) continue;
    await rename(join(dir, part), join(retired, part));
    await failpoints.at?.("duringRetire");
  }
  await syncFolder(retired);
  await syncFolder(dir);
  await failpoints.at?.("afterRetire");
  return retired;
}
