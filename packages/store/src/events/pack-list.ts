/**
 * Where packs lie on disk: for each its first number and its CRC. Packs of a kind follow each other, so a pack holds nothing from
 * the next one's first number on: what may go is known without reading any.
 */
import { invariant } from "@aether/raft/errors";

export interface Packed {
  readonly first: number;
  readonly crc: number;
}

export class PackList {
  private firsts: number[] = [];
  private crcs: number[] = [];

  get size(): number {
    return this.firsts.length;
  }

  add(first: number, crc: number): void {
    invariant(first > (this.firsts.at(-1) ?? -1), "packs of a kind come in order");
    this.firsts.push(first);
    this.crcs.push(crc);
  }

  /** All of them, lowest first. */
  all(): readonly Packed[] {
    return this.firsts.map((first, i) => ({ first, crc: this.crcs[i] as number }));
  }

  /** The newest pack that begins at or below `at`. */
  holding(at: number): Packed | undefined {
    let [low, high] = [0, this.firsts.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.firsts[middle] as number) <= at) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : { first: this.firsts[low - 1] as number, crc: this.crcs[low - 1] as number };
  }

  /** Takes away at most `max` packs that hold nothing at or above `floor`, lowest first. The newest one stays. */
  takeBelow(floor: number, max: number): readonly Packed[] {
    let count = 0;
    while (count < max && (this.firsts[count + 1] ?? Number.POSITIVE_INFINITY) <= floor) count++;
    if (count === 0) return [];
    const gone = this.firsts.slice(0, count).map((first, i) => ({ first, crc: this.crcs[i] as number }));
    this.firsts = this.firsts.slice(count);
    this.crcs = this.crcs.slice(count);
    return gone;
  }
}

/** Answers by seq, history and chain digests by index. */
export interface Packs {
  readonly s: PackList;
  readonly h: PackList;
  readonly c: PackList;
}

export const noPacks = (): Packs => ({ s: new PackList(), h: new PackList(), c: new PackList() });
