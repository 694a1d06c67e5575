/**
 * What the snapshots need of a folder of files. The product puts node:fs behind it; the simulator puts memory that forgets,
 * tears and flips.
 */
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "./log/folder.ts";

/** One folder; names are plain file names in it. What is named anew is durable only after {@link sync}. */
export interface FileFolder {
  /** The names of all files, in no order. */
  list(): Promise<readonly string[]>;
  open(name: string, how: OpenHow): Promise<OpenFile>;
  /** Over an older file of that name if need be. */
  rename(from: string, to: string): Promise<void>;
  /** Does nothing when it is not there. */
  remove(name: string): Promise<void>;
  /** Makes the names durable. */
  sync(): Promise<void>;
}

/**
 * `read` rejects with ENOENT when it is not there; `write` begins an empty file, `append` makes one if need be; `create` makes one and
 * rejects with EEXIST when it is there.
 */
export type OpenHow = "read" | "write" | "append" | "create";

export interface OpenFile {
  /** In bytes. */
  size(): Promise<number>;
  /**
   * At most `max` bytes from `offset`; none at the end of the file. The bytes belong to the caller; they may lie in `into`, which has room
   * for them: whoever reads a large file makes V8 collect the whole heap again and again with buffers that are used once.
   */
  read(offset: number, max: number, into?: Buffer): Promise<Uint8Array>;
  /** All of them, after what is there. */
  write(bytes: Uint8Array): Promise<void>;
  /** Makes the content durable. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

const flags: Readonly<Record<OpenHow, string>> = { read: "r", write: "w", append: "a", create: "wx" };

/** A folder of the file system, made if need be. */
export async function openFileFolder(dir: string): Promise<FileFolder> {
  await mkdir(dir, { recursive: true });
  return fileFolder(dir);
}

/** A folder of the file system that is there, or will be when it is used. */
export function fileFolder(dir: string): FileFolder {
  return {
    list: () => readdir(dir),
    open: async (name, how) => {
      const handle = await open(join(dir, name), flags[how]);
      return {
        size: async () => (await handle.stat()).size,
        read: async (offset, max, into = Buffer.allocUnsafe(max)) => {
          const { buffer, bytesRead } = await handle.read(into, 0, max, offset);
          return buffer.subarray(0, bytesRead);
        },
        write: (bytes) => handle.writeFile(bytes),
        sync: () => handle.sync(),
        close: () => handle.close(),
      };
    },
    rename: (from, to) => rename(join(dir, from), join(dir, to)),
    remove: (name) => rm(join(dir, name), { force: true }),
    sync: () => syncFolder(dir),
  };
}

/** Opens a file for as long as `use` takes. */
export async function withFile<T>(
  folder: FileFolder,
  name: string,
  how: OpenHow,
  use: (file: OpenFile) => Promise<T>,
): Promise<T> {
  const file = await folder.open(name, how);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

/** All bytes of a file; rejects with ENOENT when it is not there. */
export const wholeFile = (folder: FileFolder, name: string): Promise<Buffer> =>
  withFile(folder, name, "read", async (file) => {
    const size = await file.size();
    const parts: Uint8Array[] = [];
    for (let at = 0; at < size;) {
      const part = await file.read(at, size - at);
      if (part.length === 0) break;
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  });

/** Replaces a file, or makes it: a crash leaves the old one or the new one, durable when it resolves. Leaves `name.new` when it fails. */
export async function replaceFile(folder: FileFolder, name: string, content: string | Uint8Array): Promise<void> {
  await withFile(folder, `${name}.new`, "write", async (file) => {
    await file.write(typeof content === "string" ? Buffer.from(content) : content);
    await file.sync();
  });
  await folder.rename(`${name}.new`, name);
  await folder.sync();
}
