/**
 * A member's snapshots, with the product's bytes (encodeSnapshot, SnapshotParser) and its rules: the two newest are kept, and
 * those that are read or wait for it; one partial receive resumes; a file counts when it is synced and renamed. What was
 * received and not synced may come back shorter or torn after a crash; commit() must find that out.
 */
import { crc32 } from "node:zlib";
import type { SnapMeta, SnapshotStore, SnapshotWriter } from "@aether/raft/types";
import { encodeSnapshot, SnapshotDamaged, SnapshotParser } from "@aether/store/snapshot-file";
import type { Stream } from "../world/stream.ts";
import type { Device } from "./device.ts";

interface File {
  readonly meta: SnapMeta;
  readonly bytes: Buffer;
}

const keep = 2;
const nothing = (): void => undefined;
const awaitedMax = 4;
const nameOf = ({ id, digest, bytes }: SnapMeta): string => `${id.index}/${id.term}/${digest}/${bytes}`;

export class SnapshotFolder {
  #held: File[] = [];
  /** Being renamed into place. */
  #flying: File | null = null;
  #partial: { readonly name: string; bytes: Buffer; owner: object } | null = null;
  /** Begun to be read last and not read to its end, as in FileSnapshots: a restore takes its time. */
  #reading = "";
  /** Received and not read to their end, as in FileSnapshots: the log may already begin with one. */
  #awaited: SnapMeta[] = [];
  readonly counts = { made: 0, received: 0 };

  crash(stream: Stream): void {
    if (this.#flying !== null && stream.chance(0.5)) this.#adopt(this.#flying);
    this.#flying = null;
    this.#reading = "";
    this.#awaited = [];
    if (this.#partial === null) return;
    const kept = Buffer.from(this.#partial.bytes.subarray(0, stream.below(this.#partial.bytes.length + 1)));
    if (kept.length > 0 && stream.chance(0.3)) kept.fill(0, stream.below(kept.length));
    this.#partial = { name: this.#partial.name, bytes: kept, owner: {} };
  }

  clone(): SnapshotFolder {
    const copy = new SnapshotFolder();
    copy.#held = [...this.#held];
    if (this.#partial !== null) copy.#partial = { ...this.#partial, owner: {} };
    return copy;
  }

  open(device: Device): SnapshotStore {
    const put = async (file: File): Promise<void> => {
      await device.write("snapshot", () => {
        this.#flying = file;
        return () => {
          this.#adopt(file);
          this.#flying = null;
        };
      });
    };
    return {
      create: async (id, membership, digest, rows) => {
        const pieces: Buffer[] = [];
        for await (const piece of encodeSnapshot({ id, membership, digest }, rows)) {
          await device.write("snapshot", () => nothing);
          pieces.push(piece);
        }
        const bytes = Buffer.concat(pieces);
        const meta = { id, membership, digest, bytes: bytes.length };
        await put({ meta, bytes });
        this.counts.made += 1;
        return meta;
      },
      latest: () => this.#held[0]?.meta ?? null,
      has: (m) => this.#find(m) !== undefined,
      read: (m, offset, max) => {
        const file = this.#find(m);
        if (file === undefined) return Promise.reject(new Error(`snapshot ${nameOf(m)} is not held here any more`));
        const bytes = Buffer.from(file.bytes.subarray(offset, offset + max));
        const eof = offset + bytes.length >= m.bytes;
        if (offset === 0) this.#reading = nameOf(m);
        if (eof) this.#readToEnd(m);
        return Promise.resolve({ bytes, crc: crc32(bytes), eof });
      },
      begin: (m) => Promise.resolve(this.#receive(m, device, put)),
    };
  }

  #receive(meta: SnapMeta, device: Device, put: (file: File) => Promise<void>): SnapshotWriter {
    const resumes = this.#partial?.name === nameOf(meta) ? this.#partial.bytes : Buffer.alloc(0);
    const mine = { name: nameOf(meta), bytes: resumes, owner: {} };
    this.#partial = mine;
    const checkMine = (): void => {
      if (this.#partial?.owner !== mine.owner) throw new Error(`the receive of ${mine.name} has ended or been taken over`);
    };
    return {
      get offset() {
        return mine.bytes.length;
      },
      write: async (offset, bytes, crc) => {
        checkMine();
        if (offset !== mine.bytes.length || crc32(bytes) !== crc) throw new Error(`bytes from ${offset} do not fit ${mine.name}`);
        mine.bytes = Buffer.concat([mine.bytes, bytes]);
        await device.write("snapshot", () => nothing);
      },
      commit: async () => {
        checkMine();
        this.#partial = null;
        await device.write("snapshot", () => nothing);
        await verified(mine.bytes, meta);
        if (this.#awaited.length < awaitedMax) this.#awaited.push(meta);
        await put({ meta, bytes: mine.bytes });
        this.counts.received += 1;
      },
      abort: () => {
        if (this.#partial?.owner === mine.owner) this.#partial = null;
        return Promise.resolve();
      },
    };
  }

  #readToEnd(m: SnapMeta): void {
    if (this.#reading === nameOf(m)) this.#reading = "";
    this.#awaited = this.#awaited.filter((waiting) => waiting.id.index > m.id.index);
  }

  #find(m: SnapMeta): File | undefined {
    return this.#held.find(({ meta }) => nameOf(meta) === nameOf(m));
  }

  #adopt(file: File): void {
    const others = this.#held.filter(({ meta }) => nameOf(meta) !== nameOf(file.meta));
    const newestFirst = [...others, file].toSorted((a, b) => b.meta.id.index - a.meta.id.index);
    const needed = new Set([this.#reading, ...this.#awaited.map(nameOf)]);
    this.#held = newestFirst.filter(({ meta }, place) => place < keep || needed.has(nameOf(meta)));
  }
}

/** Throws {@link SnapshotDamaged}. */
async function verified(bytes: Buffer, meta: SnapMeta): Promise<void> {
  const parser = new SnapshotParser(
    (async function* () {
      await Promise.resolve();
      yield bytes;
    })(),
  );
  const { id, digest } = await parser.head();
  await parser.finish();
  const same = id.index === meta.id.index && id.term === meta.id.term && digest === meta.digest && bytes.length === meta.bytes;
  if (!same) throw new SnapshotDamaged(`the file is not snapshot ${nameOf(meta)}`);
}
