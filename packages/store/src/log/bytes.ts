import { crc32 } from "node:zlib";

const high = 0x1_0000_0000;

/** Writes a safe integer as 8 bytes, big-endian, so that keys sort by number. Throws RangeError on anything else. */
export function putInteger(into: Buffer, value: number, at: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a safe, non-negative integer`);
  into.writeUInt32BE(Math.floor(value / high), at);
  into.writeUInt32BE(value % high, at + 4);
}

/** Reads what {@link putInteger} wrote. Throws RangeError when the bytes name a number past 2^53 - 1. */
export function takeInteger(from: Buffer, at: number): number {
  const value = from.readUInt32BE(at) * high + from.readUInt32BE(at + 4);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bytes at ${at} name ${value}, which is past 2^53 - 1`);
  return value;
}

/** The same memory as a Buffer, for its integer readers. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** `body` with its CRC-32 in front. */
export function seal(body: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(4 + body.length);
  sealed.writeUInt32BE(crc32(body), 0);
  sealed.set(body, 4);
  return sealed;
}

/** The body that {@link seal} was given, or undefined when the bytes are not as sealed. */
export function unseal(sealed: Uint8Array): Buffer | undefined {
  const bytes = asBuffer(sealed);
  if (bytes.length < 4) return undefined;
  const body = bytes.subarray(4);
  return bytes.readUInt32BE(0) === crc32(body) ? body : undefined;
}
