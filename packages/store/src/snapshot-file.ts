/**
 * The bytes of a snapshot's file. After a head that names what it is a snapshot of come chunks of rows (opaque,
 * length-prefixed), each with a CRC-32 seeded by the one before, and a tail with the number of rows and the SHA-256 of
 * everything before it. All integers are big-endian.
 */
import { createHash, type Hash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { EntryId, Membership } from "@aether/raft/types";

const magic = Buffer.from("AETHSNP1");
const chunkPayloadMax = 256 * 1024;
/** A row larger than this is refused when a snapshot is made, and damage when one is read. */
export const rowBytesMax = 64 * 1024 * 1024;
const headBytesMax = 1024 * 1024;
const hashBytes = 32;
const tailBytes = 8 + 4 + hashBytes;

/** What a snapshot is of; the file's own size is not known when its head is written. */
export interface SnapshotHead {
  readonly id: EntryId;
  readonly membership: Membership;
  readonly digest: string;
}

/** The file is not what it was when it was written, or not the snapshot it was taken for. */
export class SnapshotDamaged extends Error {
  override readonly name = "SnapshotDamaged";
}

/** The file's bytes, in pieces of about 256 KiB. Throws RangeError on a row over {@link rowBytesMax}. */
export async function* encodeSnapshot(head: SnapshotHead, rows: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const hash = createHash("sha256");
  const hashed = (bytes: Buffer): Buffer => {
    hash.update(bytes);
    return bytes;
  };
  yield hashed(encodeHead(head));
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let count = 0;
  let seed = 0;
  for await (const row of rows) {
    if (row.length > rowBytesMax) throw new RangeError(`a row of ${row.length} bytes, the limit is ${rowBytesMax}`);
    parts.push(prefix(row.length), row);
    bytes += 4 + row.length;
    count++;
    if (bytes < chunkPayloadMax) continue;
    const chunk = encodeChunk(parts, bytes, seed);
    seed = chunk.readUInt32BE(4);
    yield hashed(chunk);
    parts = [];
    bytes = 0;
  }
  if (bytes > 0) yield hashed(encodeChunk(parts, bytes, seed));
  const tail = Buffer.alloc(tailBytes);
  tail.writeUInt32BE(count, 8);
  hash.update(tail.subarray(0, 12));
  tail.set(hash.digest(), 12);
  yield tail;
}

function encodeHead({ id, membership, digest }: SnapshotHead): Buffer {
  const text = Buffer.from(JSON.stringify({ id, membership, digest }));
  return Buffer.concat([magic, prefix(text.length), text, prefix(crc32(text))]);
}

/** Payload length u32 (never 0), CRC u32, payload. */
const encodeChunk = (parts: Uint8Array[], bytes: number, seed: number): Buffer => {
  const chunk = Buffer.concat([Buffer.alloc(8), ...parts], 8 + bytes);
  chunk.writeUInt32BE(bytes, 0);
  chunk.writeUInt32BE(crc32(chunk.subarray(8), seed), 4);
  return chunk;
};

function prefix(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/**
 * Reads a snapshot's bytes in any pieces; gives the head first, then every row, and checks all there is to check. A piece is done with
 * when the next is asked for: all of them may lie in the same buffer.
 */
export class SnapshotParser {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #hash: Hash = createHash("sha256");
  /** What has come and was not taken lies in it from `#from` to `#to`. */
  #buffer = Buffer.allocUnsafe(2 * chunkPayloadMax);
  #from = 0;
  #to = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Throws {@link SnapshotDamaged}. */
  async head(): Promise<SnapshotHead> {
    const start = await this.#take(magic.length + 4);
    if (!start.subarray(0, magic.length).equals(magic)) throw new SnapshotDamaged("this is not a snapshot file");
    const length = start.readUInt32BE(magic.length);
    if (length > headBytesMax) throw new SnapshotDamaged("the head is altered");
    const text = Buffer.from(await this.#take(length));
    if ((await this.#take(4)).readUInt32BE() !== crc32(text)) throw new SnapshotDamaged("the head is altered");
    return JSON.parse(text.toString()) as SnapshotHead;
  }

  /** All rows after the head. Rows are given once their chunk's CRC holds; the whole hash is checked before the end. */
  async *rows(): AsyncGenerator<Buffer> {
    for await (const view of this.#chunks()) {
      const payload = Buffer.from(view);
      for (let at = 0; at < payload.length;) {
        const end = at + 4 + payload.readUInt32BE(at);
        yield payload.subarray(at + 4, end);
        at = end;
      }
    }
  }

  /**
   * Whole rows, many at a time, valid until the next are asked for: going through them one by one costs whoever only checks them as much
   * as the checks.
   */
  async *#chunks(): AsyncGenerator<Buffer> {
    let count = 0;
    let seed = 0;
    for (;;) {
      const start = await this.#take(8);
      const length = start.readUInt32BE(0);
      const stated = start.readUInt32BE(4);
      if (length === 0) break;
      if (length > chunkPayloadMax + rowBytesMax + 4) throw new SnapshotDamaged("a chunk's length is altered");
      const payload = await this.#take(length);
      const crc = crc32(payload, seed);
      if (crc !== stated) throw new SnapshotDamaged("a chunk is altered");
      seed = crc;
      for (let at = 0; at < payload.length; count++) {
        at = at + 4 > payload.length ? Infinity : at + 4 + payload.readUInt32BE(at);
        if (at > payload.length) throw new SnapshotDamaged("a row does not fit its chunk");
      }
      yield payload;
    }
    const rows = (await this.#take(4)).readUInt32BE();
    const digest = this.#hash.digest();
    const stated = await this.#pull(hashBytes);
    if (rows !== count || !digest.equals(stated)) throw new SnapshotDamaged("the content is not what it was written as");
    if (this.#to > this.#from || (await this.#source.next()).done !== true) throw new SnapshotDamaged("bytes follow the end");
  }

  /** Checks everything after the head without keeping any of it. */
  async finish(): Promise<void> {
    const chunks = this.#chunks();
    while ((await chunks.next()).done !== true);
  }

  async #take(bytes: number): Promise<Buffer> {
    const taken = await this.#pull(bytes);
    this.#hash.update(taken);
    return taken;
  }

  /** The next so many bytes, valid until the next call. */
  async #pull(bytes: number): Promise<Buffer> {
    while (this.#to - this.#from < bytes) {
      const next = await this.#source.next();
      if (next.done === true) throw new SnapshotDamaged("the file ends too early");
      this.#makeRoom(next.value.length);
      this.#buffer.set(next.value, this.#to);
      this.#to += next.value.length;
    }
    this.#from += bytes;
    return this.#buffer.subarray(this.#from - bytes, this.#from);
  }

  /** For so many bytes after those that were not taken. */
  #makeRoom(bytes: number): void {
    if (this.#to + bytes <= this.#buffer.length) return;
    const held = this.#to - this.#from;
    const fits = held + bytes <= this.#buffer.length;
    const into = fits ? this.#buffer : Buffer.allocUnsafe(2 * (held + bytes));
    this.#buffer.copy(into, 0, this.#from, this.#to);
    this.#buffer = into;
    this.#from = 0;
    this.#to = held;
  }
}
