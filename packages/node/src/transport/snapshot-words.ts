/**
 * What is said on a snapshot connection. The sender's offer and the receiver's answers are short texts; chunks are
 * binary, with a header of their own:
 *
 *   0 magic u16 · 2 version u8 · 3 eof u8 · 4 stream u32 · 8 offset u64 · 16 crc of the data u32 (as the snapshot store
 *   made it) · 20 crc32 of bytes 0–19 u32 · 24 data
 */
import { crc32 } from "node:zlib";
import type { Membership, SnapMeta, Term } from "@aether/raft/types";
import { ByteReader, ByteWriter } from "./byte-cursor.ts";

/** `stream` numbers the sender's attempts, so that a late answer to an earlier one is known as such. */
export type SnapshotWord =
  | { readonly t: "offer"; readonly stream: number; readonly term: Term; readonly meta: SnapMeta }
  | { readonly t: "accept"; readonly stream: number; readonly resumeAt: number }
  | { readonly t: "ack"; readonly stream: number; readonly offset: number }
  | { readonly t: "done"; readonly stream: number }
  | { readonly t: "refuse"; readonly stream: number; readonly why: string };

export interface Chunk {
  readonly stream: number;
  readonly offset: number;
  readonly crc: number;
  readonly eof: boolean;
  /** Shares the message's memory. */
  readonly bytes: Buffer;
}

const magic = 0x41e8;
const version = 1;
const headBytes = 24;
const wordBytesMax = 16 * 1024;
const idsMax = 128;

export const encodeWord = (word: SnapshotWord): string => JSON.stringify(word);

/** Null when it is none. Never throws. */
export function parseWord(data: Buffer): SnapshotWord | null {
  if (data.length > wordBytesMax) return null;
  let raw: unknown;
  try {
    raw = JSON.parse(data.toString("utf8"));
  } catch {
    return null;
  }
  if (!isRecord(raw) || !isCount(raw["stream"])) return null;
  const stream = raw["stream"];
  const { t, term, meta, resumeAt, offset, why } = raw;
  if (t === "offer" && isCount(term) && isSnapMeta(meta)) return { t, stream, term, meta };
  if (t === "accept" && isCount(resumeAt)) return { t, stream, resumeAt };
  if (t === "ack" && isCount(offset)) return { t, stream, offset };
  if (t === "done") return { t, stream };
  return t === "refuse" && typeof why === "string" ? { t, stream, why: why.slice(0, 200) } : null;
}

export function encodeChunk(c: Omit<Chunk, "bytes"> & { readonly bytes: Uint8Array }): Buffer {
  const w = new ByteWriter(Buffer.allocUnsafe(headBytes + c.bytes.length));
  w.u16(magic);
  w.u8(version);
  w.u8(c.eof ? 1 : 0);
  w.u32(c.stream);
  w.safe(c.offset);
  w.u32(c.crc >>> 0);
  w.u32(crc32(w.bytes.subarray(0, w.at)));
  w.raw(c.bytes);
  return w.bytes;
}

/** Null when it is no chunk. Never throws. The data's own CRC is the snapshot store's to check. */
export function decodeChunk(bytes: Buffer): Chunk | null {
  const r = new ByteReader(bytes);
  if (r.u16() !== magic || r.u8() !== version) return null;
  const eof = r.flag();
  const stream = r.u32();
  const offset = r.safe();
  const crc = r.u32();
  const sum = r.u32();
  if (r.failed || sum !== crc32(bytes.subarray(0, headBytes - 4))) return null;
  return { stream, offset, crc, eof, bytes: bytes.subarray(headBytes) };
}

const isRecord = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null;
const isCount = (x: unknown): x is number => Number.isSafeInteger(x) && (x as number) >= 0;
const isIdList = (x: unknown): boolean => Array.isArray(x) && x.length <= idsMax && x.every((id) => isCount(id) && id >= 1);

function isSnapMeta(x: unknown): x is SnapMeta {
  if (!isRecord(x) || !isRecord(x["id"]) || !isCount(x["bytes"])) return false;
  const { id, digest, membership } = x;
  return (
    isCount(id["term"]) && isCount(id["index"]) && typeof digest === "string" && digest.length <= 128 && isMembership(membership)
  );
}

function isMembership(x: unknown): x is Membership {
  if (!isRecord(x) || typeof x["autoLeave"] !== "boolean") return false;
  return [x["voters"], x["outgoing"], x["learners"], x["learnersNext"]].every(isIdList);
}
