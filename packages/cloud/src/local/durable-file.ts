/** Files that are either wholly the old text or wholly the new one, also after a crash or a power cut. */
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { basename, dirname, join } from "node:path";

/**
 * Writes `text` beside the target, syncs it, renames it over the target and syncs the folder. Makes the folder if it is missing.
 * `mode` holds from the first byte on, so that a secret is never readable to others, not even briefly.
 */
export async function writeDurably(path: string, text: string, mode = 0o644): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${basename(path)}.${process.pid}.${randomBytes(4).toString("hex")}`);
  const file = await open(draft, "wx", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  await syncFolder(folder);
}

/** Makes renames, links and removals in a folder survive a power cut. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file's text, or null when there is no such file. Any other failure throws. */
export async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return null;
    throw error;
  }
}

/** The errno name of a Node.js error ("ENOENT"), or undefined. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
