/** Lets go of an instance without destroying what it has: for a cluster that goes on as another one. */
import { rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errnoOf, syncFolder } from "./durable-file.ts";
import type { LocalFolders } from "./instance.ts";
import { isLock, takeLock } from "./lock.ts";
import { isAlive } from "./process-table.ts";
import { readRecord, removeRecord } from "./registry.ts";

const lockWaitMs = 30_000;

/** `keptIn` is where its folder is now, null when it has none. */
export type Released = { readonly keptIn: string | null } | { readonly refused: string };

/**
 * Forgets the instance `name`; its folder stays, under the name `keepAs` when one is given. Refused while its process lives. Repeating
 * it is harmless: the folder is moved before the record goes.
 */
export async function releaseInstance(folders: LocalFolders, name: string, keepAs: string | null): Promise<Released> {
  const taken = await takeLock(join(folders.registryDir, `${name}.lock`), "release", lockWaitMs);
  if (!isLock(taken))
    return { refused: `process ${taken.pid} has been at "${taken.purpose}" of ${name} for ${lockWaitMs / 1000} s` };
  try {
    const record = await readRecord(folders.registryDir, name);
    if (record !== null && record.process !== null && isAlive(record.process))
      return { refused: `process ${record.process.pid} of ${name} is still running` };
    const keptIn = await keep(folders.nodesDir, name, keepAs);
    if (record !== null) await removeRecord(folders.registryDir, name);
    return { keptIn };
  } finally {
    await taken.release();
  }
}

async function keep(nodesDir: string, name: string, keepAs: string | null): Promise<string | null> {
  const [from, to] = [join(nodesDir, name), join(nodesDir, keepAs ?? name)];
  if (from === to) return (await isThere(to)) ? to : null;
  if (await isThere(from)) {
    await rename(from, to);
    await syncFolder(dirname(to));
  }
  return (await isThere(to)) ? to : null;
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
