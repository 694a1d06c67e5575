/** A folder whose files are durable when the system likes: tests that pull no plug need not wait for the disk. */
import { type FolderTree, folderTree } from "../../folder-tree.ts";

export function unsynced(dir: string): FolderTree {
  const tree = folderTree(dir);
  return {
    make: (path) => tree.make(path),
    folder: (path) => {
      const folder = tree.folder(path);
      const open: typeof folder.open = async (name, how) => ({
        ...(await folder.open(name, how)),
        sync: () => Promise.resolve(),
      });
      return { ...folder, open, sync: () => Promise.resolve() };
    },
  };
}
