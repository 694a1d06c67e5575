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
