/** Folders of files on a member's disk, as a repository needs them; each forgets, tears and keeps by itself when its machine dies. */
import type { FolderTree } from "@aether/store/folder-tree";
import type { Stream } from "../world/stream.ts";
import type { Device } from "./device.ts";
import { FileDisk } from "./file-disk.ts";

const lane = "backup";

export class FolderDisk {
  readonly #folders: Map<string, FileDisk>;

  constructor(folders: Map<string, FileDisk> = new Map()) {
    this.#folders = folders;
  }

  /** A folder that was made stays: whoever makes one waits until it is durable. */
  crash(stream: Stream): void {
    for (const folder of this.#folders.values()) folder.crash(stream);
  }

  clone(): FolderDisk {
    return new FolderDisk(new Map([...this.#folders].map(([path, folder]) => [path, folder.clone()])));
  }

  open(device: Device, stream: Stream): FolderTree {
    const gone = (path: string) => (): Promise<never> =>
      Promise.reject(Object.assign(new Error(`ENOENT: there is no folder ${path}`), { code: "ENOENT" }));
    return {
      folder: (path) => {
        const there = (): ReturnType<FileDisk["open"]> | undefined => this.#folders.get(path)?.open(device, stream);
        const none = gone(path);
        return {
          list: () => there()?.list() ?? none(),
          open: (name, how) => there()?.open(name, how) ?? none(),
          rename: (from, to) => there()?.rename(from, to) ?? none(),
          remove: (name) => there()?.remove(name) ?? none(),
          sync: () => there()?.sync() ?? none(),
        };
      },
      make: async (path) => {
        const names = path.split("/").filter((name) => name !== "");
        for (let depth = 0; depth <= names.length; depth++) {
          const each = names.slice(0, depth).join("/");
          if (this.#folders.has(each)) continue;
          await device.write(lane, () => () => void this.#folders.set(each, new FileDisk(new Map(), lane)));
        }
      },
    };
  }
}
