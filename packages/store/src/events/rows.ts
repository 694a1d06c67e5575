/**
 * The applied rows: a table per noun, what changed since the last flush, and an order-independent sum of the rows' hashes
 * that is brought up to date only when someone asks.
 */
import { hash } from "node:crypto";
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Stored, World } from "@aether/core/kernel/world";
import { invariant } from "@aether/raft/errors";
import { RowCells } from "./row-cells.ts";
import { Flag, RowTable } from "./row-table.ts";

/** A changed row as a flush takes it; it may change again while the flush is written. */
export interface TakenRow {
  readonly noun: string;
  readonly id: string;
  readonly stored: Stored | undefined;
  /** Its number in the noun's table. */
  readonly row: number;
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
  private readonly tables = new Map<string, RowTable>();
  private readonly cells = new RowCells();
  private sums: RowSums;

  /** `sums` are those of the rows that will be put by {@link load}; null computes them from the rows. */
  constructor(nouns: readonly string[], sums: RowSums | null) {
    for (const noun of nouns) this.tables.set(noun, new RowTable(noun, this.cells));
    this.sums = sums ?? emptySums;
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    const table = this.tables.get(noun);
    const row = table?.find(id) ?? -1;
    return row < 0 ? undefined : (table?.read(row, id) as Stored<R> | undefined);
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    yield* (this.tables.get(noun)?.all() ?? []) as Iterable<Stored<R>>;
  }

  count(noun: string): number {
    return this.tables.get(noun)?.live ?? 0;
  }

  get size(): number {
    return this.sum((table) => table.live);
  }

  /** Bytes set aside for rows that are not objects. */
  get bytes(): number {
    return this.cells.bytes;
  }

  /** Rows changed since the last flush. */
  get dirtyCount(): number {
    return this.sum((table) => table.dirty.length);
  }

  /** Applies one event and returns the thing it changed, as "noun/id". */
  evolve(noun: Noun, event: DomainEvent, context: EventContext): string {
    const table = this.table(noun.name);
    let row = table.find(event.id);
    if (row < 0) row = table.add(event.id);
    table.change(row, nextStored(noun, table.stored(row, event.id), event, context));
    if (!table.has(row, Flag.dirty)) table.dirty.push(row);
    if (!table.has(row, Flag.stale)) table.stale.push(row);
    table.set(row, Flag.dirty | Flag.stale);
    return `${noun.name}/${event.id}`;
  }

  /** Puts a row as it was on disk. `summed` false leaves it to be counted into the sums at the next {@link settle}. */
  load(noun: string, id: string, bytes: Uint8Array, diskCrc: number, summed: boolean): void {
    const table = this.table(noun);
    const row = table.add(id, bytes);
    table.crcs[row] = diskCrc;
    table.live++;
    table.set(row, Flag.live | Flag.onDisk | (summed ? Flag.summed : Flag.stale));
    if (!summed) table.stale.push(row);
  }

  /** The sums over the rows as they are now. Costs one hash per row changed since the last call. */
  settle(): RowSums {
    this.settleSome(Number.POSITIVE_INFINITY);
    return this.sums;
  }

  /** Rows changed since they were hashed last. */
  get staleCount(): number {
    return this.sum((table) => table.stale.length);
  }

  /** Hashes at most `max` of them, and no more once these had so many bytes. Returns how many it has hashed. */
  settleSome(max: number, bytesMax = Number.POSITIVE_INFINITY): number {
    let left = max;
    let bytesLeft = bytesMax;
    for (const table of this.tables.values()) {
      if (left <= 0 || bytesLeft <= 0) break;
      if (table.stale.length === 0) continue;
      const { sums, rows, bytes } = settled(table, left, bytesLeft, this.sums);
      this.sums = sums;
      left -= rows;
      bytesLeft -= bytes;
    }
    return max - left;
  }

  /** The rows changed since the last call, for the flush, each once; {@link settle} comes first. */
  takeDirty(): readonly TakenRow[] {
    invariant(this.staleCount === 0, "what the sums hold of a row is not written over");
    const taken: TakenRow[] = [];
    for (const table of this.tables.values()) {
      for (const row of table.dirty) {
        table.unset(row, Flag.dirty);
        const stored = table.stored(row);
        taken.push({ noun: table.noun, id: stored?.id ?? table.idOf(row), stored, row });
      }
      table.dirty.length = 0;
    }
    return taken;
  }

  /** CRC of the value that is on disk, null when there is none. */
  diskCrc({ noun, row }: TakenRow): number | null {
    const table = this.table(noun);
    return table.has(row, Flag.onDisk) ? (table.crcs[row] as number) : null;
  }

  /** The row as a flush has put it: its bytes are kept in place of the object. */
  written({ noun, row, stored }: TakenRow, bytes: Uint8Array, diskCrc: number): void {
    const table = this.table(noun);
    table.write(row, bytes);
    table.crcs[row] = diskCrc;
    table.set(row, Flag.onDisk);
    if (stored !== undefined) table.written(row, stored);
  }

  /** The flush deletes its value. */
  erased({ noun, row }: TakenRow): void {
    this.table(noun).unset(row, Flag.onDisk);
  }

  /** The removals among `flushed` are on disk: nothing is kept of them, unless the thing came back since. */
  dropRemoved(flushed: readonly TakenRow[]): void {
    for (const { noun, row, stored } of flushed) {
      if (stored !== undefined) continue;
      const table = this.table(noun);
      if (!table.has(row, Flag.live | Flag.dirty | Flag.stale)) table.drop(row);
    }
  }

  private sum(of: (table: RowTable) => number): number {
    let sum = 0;
    for (const table of this.tables.values()) sum += of(table);
    return sum;
  }

  private table(noun: string): RowTable {
    const table = this.tables.get(noun);
    invariant(table !== undefined, `noun ${noun} is registered`);
    return table;
  }
}

interface Settled {
  readonly sums: RowSums;
  /** Taken from those that are stale, and their bytes. */
  readonly rows: number;
  readonly bytes: number;
}

/** The sums with stale rows as they are now: at most `rowsMax`, and none more once they had `bytesMax`. */
function settled(table: RowTable, rowsMax: number, bytesMax: number, { count, a, b }: RowSums): Settled {
  const sums = { count, a, b };
  let [rows, bytesSum] = [0, 0];
  for (; rows < rowsMax && bytesSum < bytesMax && table.stale.length > 0; rows++) {
    const row = table.stale.pop() as number;
    table.unset(row, Flag.stale);
    if (table.has(row, Flag.summed)) {
      if (!table.has(row, Flag.hashed)) {
        const before = table.bytesOf(row);
        bytesSum += before.length;
        hashRow(table, row, before);
      }
      sums.a = (sums.a - (table.hashesA[row] as number) + modulus) % modulus;
      sums.b = (sums.b - (table.hashesB[row] as number) + modulus) % modulus;
      sums.count--;
    }
    table.unset(row, Flag.summed | Flag.hashed);
    const bytes = table.present(row);
    if (bytes === undefined) continue;
    bytesSum += bytes.length;
    hashRow(table, row, bytes);
    table.set(row, Flag.summed);
    sums.a = (sums.a + (table.hashesA[row] as number)) % modulus;
    sums.b = (sums.b + (table.hashesB[row] as number)) % modulus;
    sums.count++;
  }
  return { sums, rows, bytes: bytesSum };
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

const scratch = Buffer.allocUnsafe(16 * 1024);

/** 96 bits of SHA-256 over the thing's name and its encoded record, into the table's columns. */
function hashRow(table: RowTable, row: number, bytes: Uint8Array): void {
  const name = `${table.noun}\0${table.idOf(row)}\0`;
  // in UTF-8 a name has at most three bytes for each UTF-16 unit
  const fits = name.length * 3 + bytes.length <= scratch.length;
  const digest = hash("sha256", fits ? joined(name, bytes) : Buffer.concat([Buffer.from(name), bytes]), "binary");
  table.hashesA[row] = wordAt(digest, 0);
  table.hashesB[row] = wordAt(digest, 6);
  table.set(row, Flag.hashed);
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
