/**
 * Which entries tell of a thing. In memory only what is not on disk yet; on disk runs of indexes, one key per thing and
 * flush: however often a thing changes between two flushes, it costs one small value.
 */
import { invariant } from "@aether/raft/errors";

export class HistoryIndex {
  /** Indexes since the last flush, by "noun/id", ascending. */
  private pending = new Map<string, number[]>();
  /** What a flush is writing right now; readers still need it from here. */
  private writing: ReadonlyMap<string, readonly number[]> = new Map();

  add(thing: string, index: number): void {
    const indexes = this.pending.get(thing);
    if (indexes === undefined) this.pending.set(thing, [index]);
    else if (indexes[indexes.length - 1] !== index) indexes.push(index);
  }

  /** Indexes that are not surely on disk. */
  recent(thing: string): readonly number[] {
    return [...(this.writing.get(thing) ?? []), ...(this.pending.get(thing) ?? [])];
  }

  /** Hands everything to a flush, which calls {@link flushed} once it is durable. */
  take(): ReadonlyMap<string, readonly number[]> {
    this.writing = this.pending;
    this.pending = new Map();
    return this.writing;
  }

  flushed(): void {
    this.writing = new Map();
  }
}

/** The distances between consecutive indexes, as LEB128 varints; the first index is in the key. */
export function encodeRun(indexes: readonly number[]): Buffer {
  const out: number[] = [];
  let previous = indexes[0] ?? 0;
  for (const index of indexes.slice(1)) {
    invariant(index > previous, "history indexes ascend");
    let rest = index - previous;
    // no 32-bit operators: distances may exceed 2^32
    while (rest >= 128) {
      out.push((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    out.push(rest);
    previous = index;
  }
  return Buffer.from(out);
}

/** The indexes of a run that starts at `first`. */
export function decodeRun(first: number, bytes: Uint8Array): number[] {
  const indexes = [first];
  let distance = 0;
  let scale = 1;
  let index = first;
  for (const byte of bytes) {
    distance += (byte % 128) * scale;
    scale *= 128;
    if (byte >= 128) continue;
    index += distance;
    indexes.push(index);
    distance = 0;
    scale = 1;
  }
  return indexes;
}
