/**
 * The format of LevelDB's write-ahead logs and manifests: 32 KiB blocks of pieces {masked CRC-32C u32, length u16, type u8,
 * bytes}, little-endian, a record being one whole piece or a run from a first to a last one.
 */
import { maskedCrc } from "./crc32c.ts";

const blockBytes = 32 * 1024;
const headBytes = 7;
const sectorBytes = 512;
const type = { whole: 1, first: 2, middle: 3, last: 4 } as const;

/** `torn`: it ends inside a record that was never wholly written. `damaged`: bytes that were whole once are altered or missing. */
export type FileState = { readonly state: "whole" } | { readonly state: "torn" | "damaged"; readonly detail: string };

/** Checks a file's bytes and calls `onRecord` with each record, in order, up to the first bad one. */
export function readRecords(file: Buffer, onRecord: (record: Buffer) => void): FileState {
  let pieces: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const left = blockBytes - (at % blockBytes);
    if (left < headBytes) {
      at += left;
      continue;
    }
    const length = pieceAt(file, at);
    if (length === undefined) return inspectBad(file, at);
    const kind = file[at + 6] as number;
    if (pieces.length > 0 !== (kind === type.middle || kind === type.last)) {
      return { state: "damaged", detail: `a piece of the record at byte ${at} is gone` };
    }
    pieces.push(file.subarray(at + headBytes, at + headBytes + length));
    if (kind === type.whole || kind === type.last) {
      onRecord(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces));
      pieces = [];
    }
    at += headBytes + length;
  }
  return pieces.length === 0 ? { state: "whole" } : { state: "torn", detail: "it ends between the pieces of a record" };
}

/**
 * The rest of a file from its first bad piece. A write that was cut off leaves a short piece, or sectors of zeros, and
 * nothing good behind it; anything else was whole once.
 */
function inspectBad(file: Buffer, at: number): FileState {
  if (goodAfter(file, at + 1)) return { state: "damaged", detail: `the record at byte ${at} is altered; good ones follow it` };
  const left = file.length - at;
  const torn: FileState = { state: "torn", detail: `it ends inside the record at byte ${at}` };
  if (left < headBytes || hasZeroSector(file, at)) return torn;
  const end = at + headBytes + file.readUInt16LE(at + 4);
  // Past the end of the file, yet inside its block: cut off, unless the bytes that are here verify without that length.
  const short = end > file.length && end - at <= blockBytes - (at % blockBytes);
  if (short && !verifies(file, at, left - headBytes)) return torn;
  return { state: "damaged", detail: `the record at byte ${at} is altered` };
}

/** Is there a good piece anywhere after: at any byte of this block (a length may be what is altered), or heading a later one? */
function goodAfter(file: Buffer, from: number): boolean {
  const blockEnd = Math.min(file.length, (Math.floor(from / blockBytes) + 1) * blockBytes);
  for (let at = from; at + headBytes <= blockEnd; at++) if (pieceAt(file, at) !== undefined) return true;
  for (let at = blockEnd; at < file.length; at += blockBytes) if (pieceAt(file, at) !== undefined) return true;
  return false;
}

/** Length of the good piece at `at`, or undefined. */
function pieceAt(file: Buffer, at: number): number | undefined {
  if (at + headBytes > file.length) return undefined;
  const length = file.readUInt16LE(at + 4);
  const kind = file[at + 6] as number;
  const end = at + headBytes + length;
  if (kind < type.whole || kind > type.last || end > file.length || length + headBytes > blockBytes - (at % blockBytes))
    return undefined;
  return verifies(file, at, length) ? length : undefined;
}

const verifies = (file: Buffer, at: number, length: number): boolean =>
  file.readUInt32LE(at) === maskedCrc(file, at + 6, at + headBytes + length);

function hasZeroSector(file: Buffer, at: number): boolean {
  const zeros = Buffer.alloc(sectorBytes);
  for (let sector = Math.ceil(at / sectorBytes) * sectorBytes; sector < file.length; sector += sectorBytes) {
    const bytes = file.subarray(sector, sector + sectorBytes);
    if (bytes.equals(zeros.subarray(0, bytes.length))) return true;
  }
  return file.subarray(at).every((byte) => byte === 0);
}
