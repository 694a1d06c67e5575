/**
 * Which entries tell of a thing. In memory only what is not on disk yet, as it came; on disk one value for many entries:
 * apply and flush pay a few bytes for each, and whoever asks for a thing's history pays for looking through them all.
 */
import { ByteReader, ByteWriter } from "./varint.ts";

/** A run of `(thing, index)`, in the order of the indexes; a thing is "noun/id". */
interface Told {
  readonly things: string[];
  readonly indexes: number[];
}

/** What {@link packHistory} made of consecutive entries, `first` the lowest index in it. */
export interface HistoryPack {
  readonly first: number;
  readonly bytes: Buffer;
  /** Another pack follows. */
  readonly more: boolean;
}

export class HistoryIndex {
  private pending: Told = { things: [], indexes: [] };
  /** What a flush is writing right now; readers still need it from here. */
  private writing: Told = { things: [], indexes: [] };

  add(thing: string, index: number): void {
    this.pending.things.push(thing);
    this.pending.indexes.push(index);
  }

  /** Indexes that are not surely on disk, ascending, each once. */
  recent(thing: string): readonly number[] {
    const found: number[] = [];
    for (const { things, indexes } of [this.writing, this.pending]) {
      for (let i = 0; i < things.length; i++) {
        const index = indexes[i] as number;
        if (things[i] === thing && found.at(-1) !== index) found.push(index);
      }
    }
    return found;
  }

  /**
   * Hands everything to a flush as packs, made one after the other as they are asked for: null stands for a step of one that is large.
   * It calls {@link flushed} once they are durable.
   */
  take(): Iterable<HistoryPack | null> {
    this.writing = this.pending;
    this.pending = { things: [], indexes: [] };
    return packsOf(this.writing);
  }

  flushed(): void {
    this.writing = { things: [], indexes: [] };
  }
}

function* packsOf(told: Told): Generator<HistoryPack | null, void, undefined> {
  const { indexes } = told;
  const writer = new ByteWriter();
  for (let from = 0; from < indexes.length;) {
    let to = Math.min(indexes.length, from + packEvents);
    // an entry's events stay together, so that no index is in two packs
    while (indexes[to] !== undefined && indexes[to] === indexes[to - 1]) to++;
    const numbers = new Map<string, number>();
    writer.clear();
    for (let at = from; at < to; at += packEvents) {
      if (at > from) yield null;
      packHistory(told, { from, at, to: Math.min(to, at + packEvents) }, numbers, writer);
    }
    yield { first: indexes[from] as number, bytes: writer.copy(), more: to < indexes.length };
    from = to;
  }
}

/** So many events, and those of the last one's entry, make a pack. */
const packEvents = 4_096;

/**
 * Per event, as varints: the thing (its number in the pack, or the next free number, then length and UTF-8 of "noun/id") and the
 * distance of its entry's index to the one before (for the first: to the pack's first). Of the pack that begins at `from` what is
 * between `at` and `to`.
 */
function packHistory(
  { things, indexes }: Told,
  { from, at, to }: { readonly from: number; readonly at: number; readonly to: number },
  numbers: Map<string, number>,
  writer: ByteWriter,
): void {
  let previous = indexes[Math.max(from, at - 1)] as number;
  for (let i = at; i < to; i++) {
    const thing = things[i] as string;
    const index = indexes[i] as number;
    const known = numbers.get(thing);
    writer.number(known ?? numbers.size);
    if (known === undefined) {
      numbers.set(thing, numbers.size);
      writer.text(thing);
    }
    writer.number(index - previous);
    previous = index;
  }
}

/** The indexes of the entries about `thing` (UTF-8 of "noun/id") in a pack, ascending, each once. Throws RangeError on a cut pack. */
export function indexesIn(first: number, bytes: Uint8Array, thing: Uint8Array): number[] {
  const reader = new ByteReader(bytes);
  const found: number[] = [];
  /** Packs of earlier builds have more than one number for a thing that was removed and made anew between two flushes. */
  const wanted = new Set<number>();
  let things = 0;
  let index = first;
  while (!reader.done) {
    const number = reader.number();
    if (number === things) {
      const length = reader.number();
      const at = reader.skipTo(reader.at + length);
      if (sameBytes(bytes, at, length, thing)) wanted.add(number);
      things++;
    }
    index += reader.number();
    if (wanted.has(number) && found.at(-1) !== index) found.push(index);
  }
  return found;
}

function sameBytes(bytes: Uint8Array, at: number, length: number, other: Uint8Array): boolean {
  if (length !== other.length) return false;
  for (let i = length - 1; i >= 0; i--) if (bytes[at + i] !== other[i]) return false;
  return true;
}
