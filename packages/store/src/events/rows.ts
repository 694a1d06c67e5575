/**
 * The applied rows: per noun a Map of immutable records, what changed since the last flush, and an order-independent
 * sum of the rows' hashes that is brought up to date only when someone asks.
 */
import { hash } from "node:crypto";
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Stored, World } from "@aether/core/kernel/world";
import { invariant } from "@aether/raft/errors";
import { readPacked } from "./entry-reader.ts";
import { packView } from "./value-codec.ts";

/**
 * One thing's place. It outlives the row: a removed thing's slot stays until the removal is on disk. There is one for every row, so
 * numbers are kept as 32-bit integers, which V8 holds in the slot itself, and what can be made from the rest is not kept.
 */
export class Slot {
  readonly noun: string;
  readonly id: string;
  stored: Stored | undefined = undefined;
  /** Changed since the last flush took it. */
  dirty = false;
  /** The row that the sums hold, undefined when none. */
  summed: Stored | undefined = undefined;
  stale = false;
  private crc: number | null = null;
  private hash0: number | null = null;
  private hash1 = 0;
  private hash2 = 0;

  constructor(noun: string, id: string) {
    this.noun = noun;
    this.id = id;
  }

  /** "noun/id", as watchers and controllers name it. */
  get thing(): string {
    return `${this.noun}/${this.id}`;
  }

  /** CRC of the value on disk, null when there is none. */
  get diskCrc(): number | null {
    return this.crc === null ? null : this.crc >>> 0;
  }

  set diskCrc(crc: number | null) {
    this.crc = crc === null ? null : crc | 0;
  }

  /** Hash of the row that the sums hold, null until needed (after a restart most rows are never hashed). */
  get summedHash(): RowHash | null {
    if (this.hash0 === null) return null;
    const middle = this.hash1 >>> 0;
    return [(this.hash0 >>> 0) * 2 ** 16 + (middle >>> 16), (middle & 0xffff) * 2 ** 32 + (this.hash2 >>> 0)];
  }

  set summedHash(words: RowHash | null) {
    this.hash0 = words === null ? null : Math.floor(words[0] / 2 ** 16) | 0;
    if (words === null) return;
    const [a, b] = words;
    this.hash1 = ((a % 2 ** 16) << 16) | Math.floor(b / 2 ** 32);
    this.hash2 = b | 0;
  }
}

/** Two times 48 bits. */
type RowHash = readonly [a: number, b: number];

/** A changed row as a flush takes it; its slot may change again while the flush is written. */
export interface TakenRow {
  readonly slot: Slot;
  readonly stored: Stored | undefined;
}

interface Table {
  readonly slots: Map<string, Slot>;
  live: number;
}

/** Count and two sums modulo 2^48 over the rows' hashes. */
export interface RowSums {
  readonly count: number;
  readonly a: number;
  readonly b: number;
}

export const emptySums: RowSums = { count: 0, a: 0, b: 0 };

const modulus = 2 ** 48;

export class Rows implements World {
  private readonly tables = new Map<string, Table>();
  private dirty: Slot[] = [];
  private stale: Slot[] = [];
  private sums: RowSums;

  /** `sums` are those of the rows that will be put by {@link load}; null computes them from the rows. */
  constructor(nouns: readonly string[], sums: RowSums | null) {
    for (const noun of nouns) this.tables.set(noun, { slots: new Map(), live: 0 });
    this.sums = sums ?? emptySums;
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    return this.tables.get(noun)?.slots.get(id)?.stored as Stored<R> | undefined;
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    for (const slot of this.tables.get(noun)?.slots.values() ?? []) {
      if (slot.stored !== undefined) yield slot.stored as Stored<R>;
    }
  }

  count(noun: string): number {
    return this.tables.get(noun)?.live ?? 0;
  }

  get size(): number {
    let rows = 0;
    for (const table of this.tables.values()) rows += table.live;
    return rows;
  }

  get dirtyCount(): number {
    return this.dirty.length;
  }

  /** Every thing there is, as "noun/id". */
  *things(): Iterable<string> {
    for (const table of this.tables.values()) for (const slot of table.slots.values()) yield slot.thing;
  }

  /** Applies one event and returns the slot it changed. */
  evolve(noun: Noun, event: DomainEvent, context: EventContext): Slot {
    const table = this.table(noun.name);
    let slot = table.slots.get(event.id);
    if (slot === undefined) {
      slot = new Slot(noun.name, event.id);
      table.slots.set(event.id, slot);
    }
    const before = slot.stored;
    slot.stored = nextStored(noun, before, event, context);
    if (before === undefined && slot.stored !== undefined) table.live++;
    else if (before !== undefined && slot.stored === undefined) table.live--;
    if (!slot.dirty) {
      slot.dirty = true;
      this.dirty.push(slot);
    }
    if (!slot.stale) {
      slot.stale = true;
      this.stale.push(slot);
    }
    return slot;
  }

  /** Puts a row as it was on disk. `summed` false leaves it to be counted into the sums at the next {@link settle}. */
  load(noun: string, id: string, bytes: Uint8Array, diskCrc: number, summed: boolean): void {
    const table = this.table(noun);
    const slot = new Slot(noun, id);
    slot.stored = decodeRow(id, bytes);
    slot.diskCrc = diskCrc;
    if (summed) slot.summed = slot.stored;
    else {
      slot.stale = true;
      this.stale.push(slot);
    }
    table.slots.set(id, slot);
    table.live++;
  }

  /** The sums over the rows as they are now. Costs one hash per row changed since the last call. */
  settle(): RowSums {
    this.settleSome(Number.POSITIVE_INFINITY);
    return this.sums;
  }

  /** Rows changed since they were hashed last. */
  get staleCount(): number {
    return this.stale.length;
  }

  /** Hashes at most `max` of them. */
  settleSome(max: number): void {
    if (this.stale.length === 0) return;
    let { count, a, b } = this.sums;
    const kept = Math.max(0, this.stale.length - max);
    const slots = this.stale.splice(kept);
    for (const slot of slots) {
      slot.stale = false;
      if (slot.summed === slot.stored) continue;
      if (slot.summed !== undefined) {
        const [oldA, oldB] = slot.summedHash ?? rowHash(slot, encodeRow(slot.summed));
        a = (a - oldA + modulus) % modulus;
        b = (b - oldB + modulus) % modulus;
        count--;
      }
      slot.summed = slot.stored;
      slot.summedHash = null;
      if (slot.stored === undefined) continue;
      const hashed = rowHash(slot, encodeRow(slot.stored));
      slot.summedHash = hashed;
      a = (a + hashed[0]) % modulus;
      b = (b + hashed[1]) % modulus;
      count++;
    }
    this.sums = { count, a, b };
  }

  /** The rows changed since the last call, for the flush, each once. */
  takeDirty(): readonly TakenRow[] {
    const taken = this.dirty.map((slot) => {
      slot.dirty = false;
      return { slot, stored: slot.stored };
    });
    this.dirty = [];
    return taken;
  }

  /** The removals among `flushed` are on disk: their slots may go, unless the thing came back since. */
  dropRemoved(flushed: readonly TakenRow[]): void {
    for (const { slot } of flushed) {
      if (slot.stored !== undefined || slot.dirty || slot.stale) continue;
      this.tables.get(slot.noun)?.slots.delete(slot.id);
    }
  }

  private table(noun: string): Table {
    const table = this.tables.get(noun);
    invariant(table !== undefined, `noun ${noun} is registered`);
    return table;
  }
}

/** The record after one event. Versions start at 1, also for a thing that was removed and made anew. */
export function nextStored(
  noun: Noun,
  before: Stored | undefined,
  event: DomainEvent,
  context: EventContext,
): Stored | undefined {
  const row = noun.evolve(before?.row, event, context);
  if (row === undefined) return undefined;
  return {
    id: event.id,
    version: (before?.version ?? 0) + 1,
    index: context.index,
    at: context.at,
    row,
  };
}

/** A view that the next encoding writes over. */
export const encodeRow = (s: Stored): Uint8Array => packView([s.version, s.index, s.at, s.row]);

function decodeRow(id: string, bytes: Uint8Array): Stored {
  const [version, index, at, row] = readPacked(bytes) as [number, number, number, unknown];
  return { id, version, index, at, row };
}

const scratch = Buffer.allocUnsafe(16 * 1024);

/** 96 bits of SHA-256 over the thing's name and its encoded record. */
function rowHash(slot: Slot, bytes: Uint8Array): RowHash {
  const name = `${slot.noun}\0${slot.id}\0`;
  // in UTF-8 a name has at most three bytes for each UTF-16 unit
  const fits = name.length * 3 + bytes.length <= scratch.length;
  const digest = hash("sha256", fits ? joined(name, bytes) : Buffer.concat([Buffer.from(name), bytes]), "binary");
  return [wordAt(digest, 0), wordAt(digest, 6)];
}

/** In the scratch buffer, without a buffer of its own: valid until the next call. */
function joined(name: string, bytes: Uint8Array): Buffer {
  const length = scratch.write(name, 0);
  scratch.set(bytes, length);
  return scratch.subarray(0, length + bytes.length);
}

/** Six characters of one byte each as a big-endian number. */
const wordAt = (text: string, at: number): number => {
  let word = 0;
  for (let i = at; i < at + 6; i++) word = word * 256 + text.charCodeAt(i);
  return word;
};
