/**
 * Parts of packs as they were read last. Objects are a few hundred bytes and are asked for in the order of their paths, packs hold them in
 * another: a file that is opened for each of them costs more than all else that is done with them.
 */
import { type FileFolder, withFile } from "../file-folder.ts";

const blockBytes = 64 * 1024;
const heldMax = 64 * 1024 * 1024;

export class PackBlocks {
  /** The one used last comes last. */
  private readonly blocks = new Map<string, Buffer>();
  private held = 0;

  /** Bytes from `from` to `end` of the file, fewer where it ends before. A view on what is held: not to be changed. */
  async read(folder: FileFolder, name: string, from: number, end: number): Promise<Buffer> {
    const [first, last] = [Math.floor(from / blockBytes), Math.floor((end - 1) / blockBytes)];
    const parts: Buffer[] = [];
    for (let at = first; at <= last; at++) parts.push(await this.block(folder, name, at));
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    return bytes.subarray(from - first * blockBytes, end - first * blockBytes);
  }

  /** What is asked for next is read from disk. */
  forget(): void {
    this.blocks.clear();
    this.held = 0;
  }

  private async block(folder: FileFolder, name: string, at: number): Promise<Buffer> {
    const key = `${name}/${at}`;
    const there = this.blocks.get(key);
    if (there !== undefined) {
      this.blocks.delete(key);
      this.blocks.set(key, there);
      return there;
    }
    const read = await withFile(folder, name, "read", (file) => file.read(at * blockBytes, blockBytes));
    const block = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    this.blocks.set(key, block);
    this.held += block.length;
    for (const [oldest, bytes] of this.blocks) {
      if (this.held <= heldMax) break;
      this.blocks.delete(oldest);
      this.held -= bytes.length;
    }
    return block;
  }
}
