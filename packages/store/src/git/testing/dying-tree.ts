/** Folders of a process that dies: every change fails from the given one on, and the one that it died in is done, half done or not. */
import type { FileFolder, OpenFile } from "../../file-folder.ts";
import { folderTree, type FolderTree } from "../../folder-tree.ts";

export const killed = "the process was killed";

/** `changes`: so many are done before it dies. */
export function dyingTree(dir: string, changes: number, last: "undone" | "done"): FolderTree {
  let left = changes;
  const counted = async <T>(change: () => Promise<T>, half: () => Promise<unknown> = change): Promise<T> => {
    if (left-- > 0) return change();
    if (left === -1 && last === "done") await half();
    throw new Error(killed);
  };
  const file = (real: OpenFile): OpenFile => ({
    ...real,
    write: (bytes) =>
      counted(
        () => real.write(bytes),
        () => real.write(bytes.subarray(0, Math.floor(bytes.length / 2))),
      ),
    sync: () => counted(() => real.sync()),
  });
  const one = (real: FileFolder): FileFolder => ({
    ...real,
    open: async (name, how) => {
      const begin = (): Promise<OpenFile> => real.open(name, how);
      return file(await (how === "read" ? begin() : counted(begin, async () => (await begin()).close())));
    },
    rename: (from, to) => counted(() => real.rename(from, to)),
    remove: (name) => counted(() => real.remove(name)),
    sync: () => counted(() => real.sync()),
  });
  const tree = folderTree(dir);
  return { make: (path) => counted(() => tree.make(path)), folder: (path) => one(tree.folder(path)) };
}
