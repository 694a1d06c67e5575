/** Copies of what a data folder holds of one member, durable when they are made. */
import { constants } from "node:fs";
import { copyFile, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { exists, syncFile, syncFolder } from "@aether/store/log/folder";

/** What the log alone is, and what was made from it. The rest of a data folder is not the member's. */
const parts = ["log", "guard", "identity.json", "state", "snap"];

/** Copies the member's parts of `from` into the folder `to`, which is made. What is not there is not copied. */
export async function copyParts(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const part of parts) if (await exists(join(from, part))) await copyPath(join(from, part), join(to, part));
  await syncFolder(to);
}

async function copyPath(from: string, to: string): Promise<void> {
  const names = await readdir(from, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTDIR") throw error;
    return null;
  });
  if (names === null) {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
    await syncFile(to);
    return;
  }
  await mkdir(to);
  // The lock of a database is nobody's in the copy.
  for (const { name } of names) if (name !== "LOCK") await copyPath(join(from, name), join(to, name));
  await syncFolder(to);
}
