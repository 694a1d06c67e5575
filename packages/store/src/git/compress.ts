/**
 * zlib for many small things. Its own defaults are for streams: 270 KB of memory for each, taken and given back, which makes V8 collect
 * garbage most of the time. What is small needs a small window.
 */
import { deflateSync, inflateSync } from "node:zlib";
import { ObjectDamaged } from "./object.ts";

const [windowBitsMin, windowBitsMax] = [9, 15];
/** Above that, zlib's default. */
const smallBytes = 8 * 1024;
const smallMemLevel = 5;
/** Zlib takes no smaller piece of output. */
const chunkMin = 64;
const chunkMax = 64 * 1024;

/** `level`: 0, which compresses nothing, to 9. */
export function deflated(bytes: Uint8Array, level: number): Buffer {
  if (bytes.length > smallBytes) return deflateSync(bytes, { level, chunkSize: chunkMax });
  const windowBits = Math.min(windowBitsMax, Math.max(windowBitsMin, 32 - Math.clz32(bytes.length)));
  return deflateSync(bytes, { level, windowBits, memLevel: smallMemLevel, chunkSize: bytes.length + chunkMin });
}

/** What zlib made of `length` bytes; more may follow after it. `where`: for the error's words. Throws {@link ObjectDamaged}. */
export function inflated(compressed: Uint8Array, length: number, where: string): Buffer {
  const chunkSize = Math.max(chunkMin, Math.min(chunkMax, length + 1));
  let content: Buffer;
  try {
    content = inflateSync(compressed, { maxOutputLength: length + 1, chunkSize });
  } catch (cause) {
    throw new ObjectDamaged(`an object in ${where} cannot be unpacked`, { cause });
  }
  if (content.length !== length) throw new ObjectDamaged(`an object in ${where} has another length than it says`);
  return content;
}

/** How many bytes zlib makes of `length` at most, whatever its settings. */
export const compressedMax = (length: number): number => length + Math.ceil(length / 8) + chunkMin;
