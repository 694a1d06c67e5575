/**
 * LevelDB replays its write-ahead log at open and silently leaves out what does not verify: one flipped byte can take
 * synced entries with it and no error is seen. So the files are read here first, by LevelDB's log format: 32 KiB blocks of
 * records {masked CRC-32C u32, length u16, type u8, bytes}, little-endian, a batch being one record or a first..last run.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { orMissing } from "./folder.ts";

const blockBytes = 32 * 1024;
const headBytes = 7;
const sectorBytes = 512;
const type = { full: 1, first: 2, middle: 3, last: 4 } as const;

/** `torn`: it ends inside a record that was never wholly written. `damaged`: bytes that were whole once are altered or missing. */
export type WalState = { readonly state: "whole" } | { readonly state: "torn" | "damaged"; readonly detail: string };

/** The worst state of the write-ahead logs and manifests of a LevelDB folder. Rejects when the folder cannot be read. */
export async function inspectWal(folder: string): Promise<WalState> {
  let worst: WalState = { state: "whole" };
  for (const name of (await readdir(folder)).toSorted()) {
    if (!/^(\d+\.log|MANIFEST-\d+)$/.test(name)) continue;
    // A file may go between the listing and the reading when another process has the folder open.
    const bytes = await readFile(join(folder, name)).catch(orMissing);
    if (bytes === undefined) continue;
    const found = inspectRecords(bytes);
    if (found.state === "damaged") return { state: "damaged", detail: `${name}: ${found.detail}` };
    if (found.state === "torn") worst = { state: "torn", detail: `${name}: ${found.detail}` };
  }
  return worst;
}

/** Pure: the state of one file's bytes. */
export function inspectRecords(file: Buffer): WalState {
  let inside = false;
  for (let at = 0; at < file.length;) {
    const left = blockBytes - (at % blockBytes);
    if (left < headBytes) {
      at += left;
      continue;
    }
    const length = recordAt(file, at);
    if (length === undefined) return inspectBad(file, at);
    const kind = file[at + 6] as number;
    if (inside !== (kind === type.middle || kind === type.last)) {
      return { state: "damaged", detail: `a piece of the record at byte ${at} is gone` };
    }
    inside = kind === type.first || kind === type.middle;
    at += headBytes + length;
  }
  return inside ? { state: "torn", detail: "it ends between the pieces of a record" } : { state: "whole" };
}

/**
 * The rest of a file from its first bad record. A write that was cut off leaves a short record, or sectors of zeros, and
 * nothing good behind it; anything else was whole once.
 */
function inspectBad(file: Buffer, at: number): WalState {
  if (goodAfter(file, at + 1)) return { state: "damaged", detail: `the record at byte ${at} is altered; good ones follow it` };
  const left = file.length - at;
  if (left < headBytes) return { state: "torn", detail: `it ends inside the record at byte ${at}` };
  const end = at + headBytes + file.readUInt16LE(at + 4);
  const lengthAltered = left <= blockBytes && verifies(file, at, left - headBytes);
  const short = end > file.length && end - at <= blockBytes - (at % blockBytes) && !lengthAltered;
  if (short || hasZeroSector(file, at)) return { state: "torn", detail: `it ends inside the record at byte ${at}` };
  return { state: "damaged", detail: `the record at byte ${at} is altered` };
}

/** Is there a good record anywhere after: at any byte of this block (a length may be what is altered), or heading a later one? */
function goodAfter(file: Buffer, from: number): boolean {
  const blockEnd = Math.min(file.length, (Math.floor(from / blockBytes) + 1) * blockBytes);
  for (let at = from; at + headBytes <= blockEnd; at++) if (recordAt(file, at) !== undefined) return true;
  for (let at = blockEnd; at < file.length; at += blockBytes) if (recordAt(file, at) !== undefined) return true;
  return false;
}

/** Length of the good record at `at`, or undefined. */
function recordAt(file: Buffer, at: number): number | undefined {
  if (at + headBytes > file.length) return undefined;
  const length = file.readUInt16LE(at + 4);
  const kind = file[at + 6] as number;
  const end = at + headBytes + length;
  if (kind < type.full || kind > type.last || end > file.length || length + headBytes > blockBytes - (at % blockBytes))
    return undefined;
  return verifies(file, at, length) ? length : undefined;
}

function verifies(file: Buffer, at: number, length: number): boolean {
  const crc = crc32c(file, at + 6, at + headBytes + length);
  return file.readUInt32LE(at) === (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function hasZeroSector(file: Buffer, at: number): boolean {
  const zeros = Buffer.alloc(sectorBytes);
  for (let sector = Math.ceil(at / sectorBytes) * sectorBytes; sector < file.length; sector += sectorBytes) {
    const bytes = file.subarray(sector, sector + sectorBytes);
    if (bytes.equals(zeros.subarray(0, bytes.length))) return true;
  }
  return file.subarray(at).every((byte) => byte === 0);
}

/** CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which node:zlib does not offer. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return (crc ^ 0xffffffff) >>> 0;
}
