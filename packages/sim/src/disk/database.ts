import type { Stream } from "../world/stream.ts";

export interface KeyOp {
  readonly type: "put" | "del";
  readonly key: Uint8Array;
  readonly value?: Uint8Array;
}

interface Batch {
  readonly ops: readonly (readonly [key: string, value: Uint8Array | null])[];
  readonly synced: boolean;
}

/** After this many batches the oldest are in table files, and no crash undoes them any more. */
const undoneMax = 256;

/**
 * What a LevelDB folder holds, and what a crash leaves of it. A batch is whole or absent. One that was not synced may be
 * gone although later, synced ones are there: LevelDB starts a new log file with each memtable and syncs only the newest.
 */
export class Database {
  values = new Map<string, Uint8Array>();
  #base = new Map<string, Uint8Array>();
  #tail: Batch[] = [];
  /** Begun and not ended, in order. */
  #flying: Batch[] = [];
  /** The last crash cut a record in the middle. */
  torn = false;

  /**
   * The bytes are copied when the batch is begun. The function returned ends it. Batches end in their order: what ends after one that
   * never did was written behind a record that failed, and is not to be relied on, whatever its sync says.
   */
  begin(ops: readonly KeyOp[], synced: boolean): () => void {
    const batch: Batch = { ops: ops.map(({ key, value }) => [keyText(key), value === undefined ? null : copy(value)]), synced };
    this.#flying.push(batch);
    return () => {
      const failed = this.#flying[0] !== batch;
      this.#flying = this.#flying.filter((other) => other !== batch);
      this.#tail.push(failed ? { ...batch, synced: false } : batch);
      enter(this.values, batch);
      if (this.#tail.length > undoneMax) enter(this.#base, this.#tail.shift() as Batch);
    };
  }

  get(key: Uint8Array): Uint8Array | undefined {
    const value = this.values.get(keyText(key));
    return value === undefined ? undefined : copy(value);
  }

  /** Ascending pairs of a moment, whatever is written meanwhile. */
  pairs(gte = "", lt = "\uffff"): (readonly [Uint8Array, Uint8Array])[] {
    const keys = [...this.values.keys()].filter((key) => key >= gte && key < lt).toSorted();
    return keys.map((key) => [Buffer.from(key, "latin1"), copy(this.values.get(key) as Uint8Array)] as const);
  }

  /** Power is gone, or the process: of what was not synced, and of what was under way, anything may be left. */
  crash(stream: Stream): void {
    const holes = stream.chance(0.5);
    const newestSynced = this.#tail.findLastIndex(({ synced }) => synced);
    let cut = this.#tail.length;
    if (!holes) cut = newestSynced + 1 + stream.below(this.#tail.length - newestSynced);
    const kept = this.#tail.filter((batch, at) => batch.synced || (holes ? stream.chance(0.5) : at < cut));
    this.torn = false;
    for (const batch of this.#flying) {
      // A log file keeps a beginning of what was written last, never a later record without an earlier one.
      this.torn = !stream.chance(0.5);
      if (this.torn) break;
      kept.push(batch);
    }
    this.#flying = [];
    this.#tail = kept;
    this.values = new Map(this.#base);
    for (const batch of kept) enter(this.values, batch);
  }

  /** The same content, of a database that nothing writes at the moment. */
  clone(): Database {
    const copy = new Database();
    copy.values = new Map(this.values);
    copy.#base = new Map(this.#base);
    copy.#tail = [...this.#tail];
    copy.torn = this.torn;
    return copy;
  }

  /** What was written to `from` lies at `to` as well, or, with `gone`, only there. */
  misdirect(from: string, to: string, gone: boolean): void {
    const value = this.values.get(from);
    if (value === undefined) return;
    const place = (values: Map<string, Uint8Array>): void => {
      values.set(to, value);
      if (gone) values.delete(from);
    };
    place(this.values);
    place(this.#base);
    this.#tail = this.#tail.map(({ ops, synced }) => ({
      synced,
      ops: ops.filter(([key]) => key !== to && (key !== from || !gone)),
    }));
  }

  /** Changes one bit of a stored value, in memory and in whatever a crash would bring back. */
  rot(key: string, bit: number): void {
    const value = this.values.get(key);
    if (value === undefined) return;
    const altered = copy(value);
    const at = Math.floor(bit / 8) % altered.length;
    altered[at] = (altered[at] ?? 0) ^ (1 << (bit % 8));
    this.values.set(key, altered);
    if (this.#base.has(key)) this.#base.set(key, altered);
    this.#tail = this.#tail.map(({ ops, synced }) => ({
      synced,
      ops: ops.map(([name, old]) => [name, name === key && old !== null ? altered : old] as const),
    }));
  }
}

/** One character a byte: sorts as the bytes do. */
export const keyText = (key: Uint8Array): string =>
  (key instanceof Buffer ? key : Buffer.from(key.buffer, key.byteOffset, key.byteLength)).toString("latin1");

/** A Buffer's own slice() would be a view. */
const copy = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

function enter(values: Map<string, Uint8Array>, { ops }: Batch): void {
  for (const [key, value] of ops) {
    if (value === null) values.delete(key);
    else values.set(key, value);
  }
}
