/**
 * One stored value holds a run of entries. A block's payload is its entries, each with its own head, and says nothing of
 * where the block begins or ends; so the running CRC over payloads (the chain) has one value at every entry, however
 * the log is cut into blocks. A block's head states that value before and after it.
 */
import { crc32 } from "node:zlib";
import { type Entry, type EntryId, type Index, Kind, type Term } from "@aether/raft/types";
import { asBuffer, putInteger, takeInteger } from "./bytes.ts";

/** Payload at which a block is closed; a single larger entry has a block of its own. */
export const blockPayloadMax = 256 * 1024;
/** Far above the core's own entry limit: the bound that a damaged length cannot pass. */
export const entryBytesLimit = 64 * 1024 * 1024;

const version = 1;
const headBytes = 56;
const entryHeadBytes = 12;
/** version u8, 3 zeros, count u32, first index, term before, first term, last term (8 each), payload u32, seed u32, chain u32, CRC u32. */
const offset = {
  count: 4,
  first: 8,
  prevTerm: 16,
  firstTerm: 24,
  lastTerm: 32,
  payload: 40,
  seed: 44,
  chain: 48,
  crc: 52,
} as const;

export interface BlockHead {
  readonly first: Index;
  readonly count: number;
  readonly prevTerm: Term;
  readonly firstTerm: Term;
  readonly lastTerm: Term;
  /** The chain before the block's first entry and after its last one. */
  readonly seed: number;
  readonly chain: number;
}

export interface Block {
  readonly head: BlockHead;
  readonly value: Buffer;
}

/** How a stored value fails to be the block it should be. `version` is not damage: a newer program wrote it. */
export type BlockFault = { readonly fault: "crc" | "version"; readonly detail: string };

/**
 * Packs entries [from, to) into one value; copies their bytes, so the caller's buffers are free when it returns.
 * `prev` is the entry before and `seed` the chain at it. Throws RangeError on an entry over {@link entryBytesLimit}.
 */
export function encodeBlock(entries: readonly Entry[], from: number, to: number, prev: EntryId, seed: number): Block {
  let bytes = headBytes;
  for (let at = from; at < to; at++) bytes += entryHeadBytes + (entries[at] as Entry).data.length;
  const value = Buffer.allocUnsafe(bytes);
  let at = headBytes;
  for (let i = from; i < to; i++) {
    const entry = entries[i] as Entry;
    const { length } = entry.data;
    if (length > entryBytesLimit)
      throw new RangeError(`entry ${entry.index} has ${length} bytes, the limit is ${entryBytesLimit}`);
    value.writeUInt32BE(length, at);
    putInteger(value, entry.term, at + 4);
    // A term's top byte is always 0 (terms are below 2^53), so the kind lives there.
    value[at + 4] = entry.kind;
    value.set(entry.data, at + entryHeadBytes);
    at += entryHeadBytes + length;
  }
  const head: BlockHead = {
    first: prev.index + 1,
    count: to - from,
    prevTerm: prev.term,
    firstTerm: (entries[from] as Entry).term,
    lastTerm: (entries[to - 1] as Entry).term,
    seed,
    chain: crc32(value.subarray(headBytes), seed),
  };
  writeHead(value, head);
  return { head, value };
}

function writeHead(value: Buffer, head: BlockHead): void {
  value.writeUInt32BE(version * 0x1000000, 0);
  value.writeUInt32BE(head.count, offset.count);
  putInteger(value, head.first, offset.first);
  putInteger(value, head.prevTerm, offset.prevTerm);
  putInteger(value, head.firstTerm, offset.firstTerm);
  putInteger(value, head.lastTerm, offset.lastTerm);
  value.writeUInt32BE(value.length - headBytes, offset.payload);
  value.writeUInt32BE(head.seed, offset.seed);
  value.writeUInt32BE(head.chain, offset.chain);
  value.writeUInt32BE(crc32(value.subarray(0, offset.crc)), offset.crc);
}

/** Checks both CRCs of a stored value and reads its head. Never throws, whatever the bytes. */
export function readHead(stored: Uint8Array): Block | BlockFault {
  const value = asBuffer(stored);
  if (value.length < headBytes) return { fault: "crc", detail: `a block of ${value.length} bytes is shorter than its head` };
  if (crc32(value.subarray(0, offset.crc)) !== value.readUInt32BE(offset.crc))
    return { fault: "crc", detail: "the block's head is altered" };
  if (value[0] !== version) return { fault: "version", detail: `block format ${value[0]}, this program knows ${version}` };
  const seed = value.readUInt32BE(offset.seed);
  const chain = value.readUInt32BE(offset.chain);
  if (value.length - headBytes !== value.readUInt32BE(offset.payload))
    return { fault: "crc", detail: "the block's payload is cut" };
  if (crc32(value.subarray(headBytes), seed) !== chain) return { fault: "crc", detail: "the block's entries are altered" };
  const head: BlockHead = {
    first: takeInteger(value, offset.first),
    count: value.readUInt32BE(offset.count),
    prevTerm: takeInteger(value, offset.prevTerm),
    firstTerm: takeInteger(value, offset.firstTerm),
    lastTerm: takeInteger(value, offset.lastTerm),
    seed,
    chain,
  };
  return { head, value };
}

const kinds = new Set<number>(Object.values(Kind));

/**
 * The entries of a block whose CRCs hold; their data are views of its value. Throws RangeError when the payload is not
 * what its head says, or names a kind of entry that this program does not know: stop, never skip.
 */
export function decodeEntries(block: Block): Entry[] {
  const { head, value } = block;
  const entries: Entry[] = Array.from({ length: head.count });
  let at = headBytes;
  let term = head.prevTerm;
  for (let i = 0; i < head.count; i++) {
    if (at + entryHeadBytes > value.length) throw new RangeError(`block ${head.first} ends inside entry ${head.first + i}`);
    const length = value.readUInt32BE(at);
    const kind = value[at + 4] as number;
    const entryTerm = (value.readUInt32BE(at + 4) & 0xffffff) * 0x1_0000_0000 + value.readUInt32BE(at + 8);
    const start = at + entryHeadBytes;
    if (start + length > value.length) throw new RangeError(`block ${head.first} ends inside entry ${head.first + i}`);
    if (!kinds.has(kind)) throw new RangeError(`entry ${head.first + i} is of kind ${kind}, which this program does not know`);
    if (entryTerm < term) throw new RangeError(`entry ${head.first + i} has term ${entryTerm} after term ${term}`);
    term = entryTerm;
    entries[i] = { term: entryTerm, index: head.first + i, kind: kind as Kind, data: value.subarray(start, start + length) };
    at = start + length;
  }
  if (at !== value.length || term !== head.lastTerm || entries[0]?.term !== head.firstTerm) {
    throw new RangeError(`block ${head.first} does not hold what its head says`);
  }
  return entries;
}

/** The chain after `count` entries of the block, by reading its payload. */
export function chainWithin(block: Block, count: number): number {
  let at = headBytes;
  for (let i = 0; i < count; i++) at += entryHeadBytes + block.value.readUInt32BE(at);
  return crc32(block.value.subarray(headBytes, at), block.head.seed);
}

/** Where the next block ends: the first entry that would pass {@link blockPayloadMax}, but at least one entry. */
export function blockEnd(entries: readonly Entry[], from: number): number {
  let bytes = 0;
  let at = from;
  do {
    bytes += entryHeadBytes + (entries[at] as Entry).data.length;
    at++;
  } while (at < entries.length && bytes + entryHeadBytes + (entries[at] as Entry).data.length <= blockPayloadMax);
  return at;
}
