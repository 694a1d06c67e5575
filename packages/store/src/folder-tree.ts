/** Folders within folders, for what a repository keeps beside its packs. Paths are names divided by slashes, "" is the root. */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type FileFolder, fileFolder } from "./file-folder.ts";
import { syncFolder } from "./log/folder.ts";

export interface FolderTree {
  /** Whether it is there shows when it is used: then whatever is asked of it rejects with ENOENT. */
  folder(path: string): FileFolder;
  /** Makes it, and those above it, unless it is there; durable when it resolves. */
  make(path: string): Promise<void>;
}

/** A folder of the file system and all below it. The root is made with the first {@link FolderTree.make}. */
export const folderTree = (dir: string): FolderTree => ({
  folder: (path) => fileFolder(join(dir, path)),
  make: async (path) => {
    const first = await mkdir(join(dir, path), { recursive: true });
    if (first === undefined) return;
    const made = path.split("/").filter((name) => name !== "");
    await syncFolder(dirname(dir));
    for (const at of made.keys()) await syncFolder(join(dir, ...made.slice(0, at)));
  },
});
