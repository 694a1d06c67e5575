/**
 * CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which node:zlib does not offer: Secret Manager sends it along, so that what
 * was broken on its way is noticed. Secrets are short (64 KiB at most), so a bit at a time is fast enough.
 */
export function crc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return (crc ^ -1) >>> 0;
}
