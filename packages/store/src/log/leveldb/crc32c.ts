/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which node:zlib does not offer. A start checks every file of two databases with
 * it, so it takes eight bytes a step, whose table look-ups do not wait for each other, and reads them as two words.
 */
const steps = 8;
/** One after the other: table k holds what a byte does to a CRC that k more bytes follow. */
const tables = new Int32Array(steps * 256);
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let k = 0; k < steps; k++) {
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
    tables[k * 256 + byte] = crc;
  }
}

export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  const t = tables;
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = -1;
  let at = from;
  for (; at + steps <= to; at += steps) {
    const low = crc ^ words.getInt32(at, true);
    const high = words.getInt32(at + 4, true);
    crc =
      (t[0x700 | (low & 0xff)] as number) ^
      (t[0x600 | ((low >>> 8) & 0xff)] as number) ^
      (t[0x500 | ((low >>> 16) & 0xff)] as number) ^
      (t[0x400 | (low >>> 24)] as number) ^
      (t[0x300 | (high & 0xff)] as number) ^
      (t[0x200 | ((high >>> 8) & 0xff)] as number) ^
      (t[0x100 | ((high >>> 16) & 0xff)] as number) ^
      (t[high >>> 24] as number);
  }
  for (; at < to; at++) crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return (crc ^ -1) >>> 0;
}

/** LevelDB stores CRCs masked, since it also computes CRCs of strings that hold CRCs. */
export function maskedCrc(bytes: Uint8Array, from: number, to: number): number {
  const crc = crc32c(bytes, from, to);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
