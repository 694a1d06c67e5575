import type { FileFolder } from "@aether/store/file-folder";
import type { FolderTree } from "@aether/store/folder-tree";
import type { Stream } from "../world/stream.ts";
import type { Device } from "./device.ts";
import { FileDisk } from "./file-disk.ts";

/** Folders within folders on a member's disk. Each forgets, tears and keeps for itself what a {@link FileDisk} does; the folders stay. */
export class FileTree {
  readonly #folders = new Map<string, FileDisk>();

  crash(stream: Stream): void {
    for (const disk of this.#folders.values()) disk.crash(stream);
  }

  /** `stream` draws how much of a write that fails is there all the same. */
  open(device: Device, stream: Stream): FolderTree {
    const inside = async <T>(path: string, use: (folder: FileFolder) => Promise<T>): Promise<T> => {
      const disk = this.#folders.get(path);
      if (disk === undefined) throw Object.assign(new Error(`ENOENT: there is no folder ${path}`), { code: "ENOENT" });
      return use(disk.open(device, stream));
    };
    return {
      make: (path) => {
        const names = path.split("/").filter((name) => name !== "");
        for (let depth = 0; depth <= names.length; depth++) {
          const each = names.slice(0, depth).join("/");
          if (!this.#folders.has(each)) this.#folders.set(each, new FileDisk());
        }
        return Promise.resolve();
      },
      folder: (path) => ({
        list: () => inside(path, (folder) => folder.list()),
        open: (name, how) => inside(path, (folder) => folder.open(name, how)),
        rename: (from, to) => inside(path, (folder) => folder.rename(from, to)),
        remove: (name) => inside(path, (folder) => folder.remove(name)),
        sync: () => inside(path, (folder) => folder.sync()),
      }),
    };
  }
}
