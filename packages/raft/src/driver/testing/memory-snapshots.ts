import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { SnapMeta, SnapshotChunk, SnapshotStore, SnapshotWriter } from "../../types.ts";

interface Stored {
  readonly meta: SnapMeta;
  readonly bytes: Buffer;
}

export interface MemorySnapshots extends SnapshotStore {
  /** The whole content of a snapshot held here. */
  content(m: SnapMeta): Buffer;
  readonly created: number;
  /** Bytes that came in through writers, the resumed part not counted twice. */
  readonly received: number;
  /** Alters what is held of it. */
  rot(m: SnapMeta): void;
}

const nameOf = (m: SnapMeta): string => `${m.id.index}-${m.id.term}-${m.digest}`;

/** A SnapshotStore without a disk: keeps the two newest and one partial, checks every chunk and the whole. */
export function makeMemorySnapshots(): MemorySnapshots {
  return new Memory();
}

class Memory implements MemorySnapshots {
  created = 0;
  received = 0;
  readonly #held = new Map<string, Stored>();
  #latest: SnapMeta | null = null;
  #partial: { name: string; bytes: Buffer } | null = null;

  async create(...[at, membership, , rows]: Parameters<SnapshotStore["create"]>): Promise<SnapMeta> {
    const pieces: Uint8Array[] = [];
    for await (const row of rows) pieces.push(row);
    const bytes = Buffer.concat(pieces);
    const digest = createHash("sha256").update(bytes).digest("hex");
    const meta: SnapMeta = { id: at, membership, digest, bytes: bytes.length };
    this.created += 1;
    this.#keep({ meta, bytes });
    return meta;
  }

  latest(): SnapMeta | null {
    return this.#latest;
  }

  read(m: SnapMeta, offset: number, max: number): Promise<SnapshotChunk> {
    const bytes = this.content(m).subarray(offset, offset + max);
    return Promise.resolve({ bytes, crc: crc32(bytes), eof: offset + bytes.length >= m.bytes });
  }

  begin(m: SnapMeta): Promise<SnapshotWriter> {
    const name = nameOf(m);
    if (this.#partial?.name !== name) this.#partial = { name, bytes: Buffer.alloc(0) };
    const partial = this.#partial;
    return Promise.resolve({
      offset: partial.bytes.length,
      write: (offset, bytes, crc) => {
        if (offset !== partial.bytes.length || crc32(bytes) !== crc)
          return Promise.reject(new Error(`bad chunk at ${offset} of ${name}`));
        this.received += bytes.length;
        partial.bytes = Buffer.concat([partial.bytes, bytes]);
        return Promise.resolve();
      },
      commit: () => {
        const digest = createHash("sha256").update(partial.bytes).digest("hex");
        this.#partial = null;
        if (digest !== m.digest) return Promise.reject(new Error(`snapshot ${name} arrived altered`));
        this.#keep({ meta: m, bytes: partial.bytes });
        return Promise.resolve();
      },
      abort: () => {
        this.#partial = null;
        return Promise.resolve();
      },
    });
  }

  has(m: SnapMeta): boolean {
    return this.#held.has(nameOf(m));
  }

  rot(m: SnapMeta): void {
    const bytes = Buffer.from(this.content(m));
    bytes[0] = (bytes[0] ?? 0) ^ 1;
    this.#held.set(nameOf(m), { meta: m, bytes });
  }

  check(m: SnapMeta): Promise<boolean> {
    const stored = this.#held.get(nameOf(m));
    const whole = stored !== undefined && createHash("sha256").update(stored.bytes).digest("hex") === m.digest;
    if (!whole) this.#held.delete(nameOf(m));
    const left = [...this.#held.values()].map(({ meta }) => meta).toSorted((a, b) => b.id.index - a.id.index);
    this.#latest = left[0] ?? null;
    return Promise.resolve(whole);
  }

  content(m: SnapMeta): Buffer {
    const stored = this.#held.get(nameOf(m));
    if (stored === undefined) throw new Error(`no snapshot ${nameOf(m)} here`);
    return stored.bytes;
  }

  #keep(stored: Stored): void {
    this.#held.set(nameOf(stored.meta), stored);
    if (this.#latest === null || stored.meta.id.index > this.#latest.id.index) this.#latest = stored.meta;
    for (const name of [...this.#held.keys()].slice(0, -2)) if (name !== nameOf(this.#latest)) this.#held.delete(name);
  }
}
