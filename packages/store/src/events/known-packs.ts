/**
 * What a reader of packs has to meet on disk. A seal proves that a pack is what was once written in its place; that none is missing,
 * and none is an older one, only the list in memory tells.
 */
import type { Index } from "@aether/raft/types";
import type { Packed } from "./pack-list.ts";
import { Damaged, sealOf } from "./value-codec.ts";

export class KnownPacks {
  private readonly packs: readonly Packed[];
  private readonly durable: Index;
  private met = 0;

  /** `packs`: all that there are, lowest first; those that begin after `durable` may be under way to the disk. */
  constructor(packs: readonly Packed[], durable: Index) {
    this.packs = packs;
    this.durable = durable;
  }

  /** The next one on disk, in order. Throws Damaged when it is another than was written, or one before it is missing. */
  meets(first: number, sealed: Uint8Array): void {
    const next = this.packs[this.met];
    // being trimmed: no longer known, still there
    if (this.met === 0 && next !== undefined && first < next.first) return;
    if (next?.first !== first || sealOf(sealed) !== next.crc)
      throw new Damaged(`where the pack from ${next?.first ?? "nowhere"} on belongs is that from ${first}`);
    this.met++;
  }

  /** There are no more. */
  end(): void {
    const next = this.packs[this.met];
    if (next !== undefined && next.first <= this.durable) throw new Damaged(`the pack from ${next.first} on is gone`);
  }
}
