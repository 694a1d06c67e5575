/**
 * The bytes of a flush, in memory that is used again by the next one: thousands of keys and values live until the database has
 * taken them, and as buffers of their own they would be old, and then garbage, before a collector looks at them.
 */
import { crc32 } from "node:zlib";
import { generationBytes } from "./state-db.ts";
import type { StateOp } from "./state-db.ts";
import { crcBytes } from "./value-codec.ts";

const chunkBytes = 256 * 1024;
/** More than a usual flush takes; what a larger one took besides is given back. */
const chunksKept = 32;

export class FlushBuffer {
  private chunks: Buffer[] = [];
  private chunk = 0;
  private at = 0;

  /** Nothing that was given out is used any more. */
  reset(): void {
    this.chunks = this.chunks.slice(0, chunksKept);
    this.chunk = 0;
    this.at = 0;
  }

  /**
   * A sealed record, as seal() of value-codec.ts makes it: under `bare` in the generation, `payload` and the CRC over both. What it
   * was made of may change afterwards.
   */
  put(generation: number, bare: Uint8Array, payload: Uint8Array): { readonly op: StateOp; readonly crc: number } {
    const keyEnd = generationBytes + bare.length;
    const length = keyEnd + payload.length + crcBytes;
    const { into, from } = this.room(length);
    into.writeUInt32BE(generation, from);
    into.set(bare, from + generationBytes);
    into.set(payload, from + keyEnd);
    const end = from + length;
    const crc = crc32(into.subarray(from + generationBytes, end - crcBytes));
    into.writeUInt32BE(crc, end - crcBytes);
    return { op: { type: "put", key: into.subarray(from, from + keyEnd), value: into.subarray(from + keyEnd, end) }, crc };
  }

  private room(bytes: number): { into: Buffer; from: number } {
    if (bytes > chunkBytes) return { into: Buffer.allocUnsafeSlow(bytes), from: 0 };
    if (this.at + bytes > chunkBytes) {
      this.chunk++;
      this.at = 0;
    }
    const into = (this.chunks[this.chunk] ??= Buffer.allocUnsafeSlow(chunkBytes));
    const from = this.at;
    this.at += bytes;
    return { into, from };
  }
}
