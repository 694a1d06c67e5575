/**
 * The state folder's database as a small port, its key layout, and LevelDB behind the port.
 *
 * Layout: `meta` names the live generation and the applied index; all other keys begin with their generation (u32), so
 * that a snapshot is loaded beside the old state and one synced write of `meta` switches over.
 *
 * | key after the generation | value (sealed with a CRC over key and value) |
 * |---|---|
 * | `r` noun 0 id | row |
 * | `s` u64 first seq | a pack of remembered answers (answer-pack.ts) |
 * | `h` u64 first index | a pack of history: which entries tell of which things (history-index.ts) |
 * | `c` u64 first index | chain digests of consecutive entries, 32 bytes each |
 */
import { readdir } from "node:fs/promises";
import { Level } from "level";
import { orMissing } from "../log/folder.ts";
import { inspectDatabase } from "../log/leveldb/inspect.ts";
import { readU64, writeU64 } from "./audit-chain.ts";
import { Damaged } from "./value-codec.ts";

export type StateOp =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: Uint8Array };

export interface Range {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

export type Pair = readonly [key: Uint8Array, value: Uint8Array];

/** A frozen view of the database; must be closed. */
export interface StateView {
  scan(range: Range): AsyncIterable<readonly Pair[]>;
  close(): Promise<void>;
}

export interface StateDb {
  /** One atomic write, durable when it resolves, until when the ops' bytes must not change. A rejection is fatal to the process. */
  write(ops: readonly StateOp[]): Promise<void>;
  get(key: Uint8Array): Promise<Uint8Array | undefined>;
  /** Ascending, in pages. */
  scan(range: Range): AsyncIterable<readonly Pair[]>;
  /** The last pair of the range. */
  last(range: Range): Promise<Pair | undefined>;
  /** The view is of the moment of the call. */
  view(): StateView;
  /** Drops a whole range; not durable: after a crash any of it may be there again, though what was written later is there too. */
  clear(range: Range): Promise<void>;
  close(): Promise<void>;
}

export const metaKey: Uint8Array = Buffer.from("meta");

export type KeyKind = "r" | "s" | "h" | "c";

export const generationBytes = 4;

export const withGeneration = (generation: number, rest: Uint8Array): Buffer => {
  const key = Buffer.allocUnsafe(generationBytes + rest.length);
  key.writeUInt32BE(generation, 0);
  key.set(rest, generationBytes);
  return key;
};

/** The part of a key that is the same in every generation, and on every member: what seals are made over. */
export const bareKey = (key: Uint8Array): Uint8Array => key.subarray(generationBytes);

export const kindRange = (generation: number, kind: KeyKind): Range => ({
  gte: withGeneration(generation, Buffer.from(kind)),
  lt: withGeneration(generation, Buffer.from([kind.charCodeAt(0) + 1])),
});

/** Generations stay below this, so that all their keys sort before `meta`: one more with every restore is far from it. */
export const generationMax = 2 ** 24;

/** All keys of generations [from, to). */
export const generationRange = (from: number, to: number): Range => ({
  gte: withGeneration(from, new Uint8Array()),
  lt: withGeneration(to, new Uint8Array()),
});

export const rowKey = (noun: string, id: string): Buffer => Buffer.from(`r${noun}\0${id}`);

export function parseRowKey(bare: Uint8Array): readonly [noun: string, id: string] {
  const text = Buffer.from(bare).toString("utf8", 1);
  const cut = text.indexOf("\0");
  return [text.slice(0, cut), text.slice(cut + 1)];
}

/** `s`, `h`, `c`: the kind and a number. */
export function numberKey(kind: "s" | "h" | "c", n: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key.write(kind, 0);
  writeU64(key, n, 1);
  return key;
}

/** The number at the end of an `s`, `c` or `h` key. */
export const keyNumber = (key: Uint8Array): number =>
  readU64(Buffer.from(key.buffer, key.byteOffset, key.byteLength), key.length - 8);

const pageKeys = 1_000;
/** LevelDB copies what is put into a batch on the calling thread: so many at a time, between which others get their turn. */
const putsPerStep = 512;
const bytesPerStep = 4 * 1024 * 1024;

async function writeInSteps(db: Level<Uint8Array, Uint8Array>, ops: readonly StateOp[]): Promise<void> {
  const all = ops.reduce((sum, op) => sum + (op.type === "put" ? op.value.length : 0), 0);
  if (ops.length <= putsPerStep && all <= bytesPerStep) return db.batch(ops as StateOp[], { sync: true });
  const batch = db.batch();
  try {
    let [puts, bytes] = [0, 0];
    for (const op of ops) {
      if (puts === putsPerStep || bytes >= bytesPerStep) {
        await new Promise((resolve) => setImmediate(resolve));
        [puts, bytes] = [0, 0];
      }
      puts++;
      if (op.type === "put") {
        bytes += op.value.length;
        batch.put(op.key, op.value);
      } else batch.del(op.key);
    }
    await batch.write({ sync: true });
  } finally {
    await batch.close();
  }
}

/**
 * Opens or creates the folder. Its files are checked first, because LevelDB serves altered ones, or ends the process over
 * them. Rejects with Damaged, with LevelDB's error when it cannot make sense of the files, or when another process holds them.
 */
export async function openLevelState(dir: string): Promise<StateDb> {
  const present = (await readdir(dir).catch(orMissing)) ?? [];
  const found = present.length === 0 ? null : await inspectDatabase(dir);
  if (found?.state === "damaged") throw new Damaged(found.detail);
  const db = new Level<Uint8Array, Uint8Array>(dir, {
    keyEncoding: "view",
    valueEncoding: "view",
    // the check of the files reads no compressed blocks
    compression: false,
    // rows are read from memory: what is read here, at a start or for a snapshot, is read once
    cacheSize: 1024 * 1024,
    writeBufferSize: 8 * 1024 * 1024,
  });
  await db.open();
  type Snapshot = ReturnType<typeof db.snapshot>;
  async function* pages(range: Range, snapshot: Snapshot | undefined): AsyncIterable<readonly Pair[]> {
    const iterator = db.iterator({ ...range, snapshot, highWaterMarkBytes: 256 * 1024 });
    try {
      for (;;) {
        const page = await iterator.nextv(pageKeys);
        if (page.length === 0) return;
        yield page;
      }
    } finally {
      await iterator.close();
    }
  }
  return {
    write: (ops) => writeInSteps(db, ops),
    get: (key) => db.get(key),
    scan: (range) => pages(range, undefined),
    last: async (range) => (await db.iterator({ ...range, reverse: true, limit: 1 }).all())[0],
    view: () => {
      const snapshot = db.snapshot();
      return { scan: (range) => pages(range, snapshot), close: () => snapshot.close() };
    },
    clear: (range) => db.clear(range),
    close: () => db.close(),
  };
}
