/**
 * The audit chain: each entry's digest covers the digest before it, so no entry can be altered, dropped or moved without
 * changing every digest after it. A reader needs nothing but {@link chainNext} to prove a range.
 */
import { createHash, hash } from "node:crypto";
import { invariant } from "@aether/raft/errors";

export const digestBytes = 32;

/** The digest before entry 1. */
export const chainGenesis: Uint8Array = new Uint8Array(digestBytes);

const headBytes = digestBytes + 8 + 8 + 1;
const scratch = Buffer.alloc(16 * 1024);

/** SHA-256 over: previous digest (32 B), index (u64 big-endian), term (u64 big-endian), kind (u8), data. */
export const chainNext = (prev: Uint8Array, index: number, term: number, kind: number, data: Uint8Array): Uint8Array =>
  Buffer.from(chainText(prev, 0, index, term, kind, data), "latin1");

/**
 * The digest as 32 characters of one byte each: node:crypto gives those more than twice as fast as a buffer. The one before it
 * begins at `prevAt`.
 */
function chainText(prev: Uint8Array, prevAt: number, index: number, term: number, kind: number, data: Uint8Array): string {
  invariant(prev.length >= prevAt + digestBytes, "a chain digest has 32 bytes");
  // a loop: for so few bytes it costs less than a view to copy from
  for (let i = 0; i < digestBytes; i++) scratch[i] = prev[prevAt + i] as number;
  writeU64(scratch, index, digestBytes);
  writeU64(scratch, term, digestBytes + 8);
  scratch[headBytes - 1] = kind;
  if (headBytes + data.length > scratch.length) {
    return createHash("sha256").update(scratch.subarray(0, headBytes)).update(data).digest("binary");
  }
  scratch.set(data, headBytes);
  return hash("sha256", scratch.subarray(0, headBytes + data.length), "binary");
}

/** Safe integers only: two 32-bit halves, no 32-bit operators on the value itself. */
export function writeU64(into: Buffer, value: number, offset: number): void {
  invariant(Number.isSafeInteger(value) && value >= 0, "indexes and terms are safe integers");
  into.writeUInt32BE(Math.floor(value / 2 ** 32), offset);
  into.writeUInt32BE(value % 2 ** 32, offset + 4);
}

/** The inverse of {@link writeU64}. */
export function readU64(from: Buffer, offset: number): number {
  const value = from.readUInt32BE(offset) * 2 ** 32 + from.readUInt32BE(offset + 4);
  invariant(Number.isSafeInteger(value), "indexes and terms are safe integers");
  return value;
}

/** A run of consecutive digests: those of entries `first`, `first + 1`, … */
export interface ChainRun {
  readonly first: number;
  readonly digests: Uint8Array;
}

/** The chain's head, and the digests that are not on disk yet, packed. */
export class AuditTrail {
  /** Lowest index whose digest is known; the one before it is known as well (it is where the trail began). */
  readonly first: number;
  readonly base: Uint8Array;
  index: number;
  /** The digest before the first one in the buffer. */
  private before: Uint8Array;
  private start: number;
  private buffer = Buffer.alloc(digestBytes * 64);

  /** `base` is the digest at `first - 1`; `head` the digest at `index`. */
  constructor(first: number, base: Uint8Array, index: number, head: Uint8Array) {
    this.first = first;
    this.base = base;
    this.index = index;
    this.before = head;
    this.start = index + 1;
  }

  /** The digest at `index`. Valid as long as the trail. */
  get head(): Uint8Array {
    if (this.index < this.start) return this.before;
    const at = (this.index - this.start) * digestBytes;
    return this.buffer.subarray(at, at + digestBytes);
  }

  append(index: number, term: number, kind: number, data: Uint8Array): void {
    invariant(index === this.index + 1, "the audit chain has no gaps");
    const at = (index - this.start) * digestBytes;
    const digest =
      at === 0
        ? chainText(this.before, 0, index, term, kind, data)
        : chainText(this.buffer, at - digestBytes, index, term, kind, data);
    if (at + digestBytes > this.buffer.length) this.buffer = Buffer.concat([this.buffer], this.buffer.length * 2);
    this.buffer.write(digest, at, "latin1");
    this.index = index;
  }

  /** Digests of start..index, not yet durable; none when it has not grown. The bytes stay valid as the trail grows. */
  unflushed(): ChainRun {
    return { first: this.start, digests: this.buffer.subarray(0, (this.index - this.start + 1) * digestBytes) };
  }

  /** Entries up to `upTo` are durable: forget their digests here. */
  flushed(upTo: number): void {
    if (upTo < this.start) return;
    const end = (upTo + 1 - this.start) * digestBytes;
    this.before = Buffer.from(this.buffer.subarray(end - digestBytes, end));
    const kept = this.buffer.subarray(end, (this.index + 1 - this.start) * digestBytes);
    const next = Buffer.alloc(Math.max(digestBytes * 64, kept.length * 2));
    next.set(kept);
    this.buffer = next;
    this.start = upTo + 1;
  }

  /** The digest at `index` if it is in memory. */
  recent(index: number): Uint8Array | undefined {
    if (index === this.index) return this.head;
    if (index === this.first - 1) return this.base;
    if (index < this.start || index > this.index) return undefined;
    const at = (index - this.start) * digestBytes;
    return this.buffer.subarray(at, at + digestBytes);
  }
}
