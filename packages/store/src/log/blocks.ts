import type { Entry, EntryId, Index, LogView, Term } from "@aether/raft/types";
import { type Block, chainWithin, decodeEntries, encodeBlock, readHead } from "./block.ts";
import { LogDamaged } from "./errors.ts";
import { blockKey, type Floor } from "./keys.ts";
import type { KeyValue } from "./ports.ts";
import { TermTable } from "./terms.ts";

/** What is known of a stored block without reading it. `held` is its value while it is among the newest ones. */
interface Known {
  readonly first: Index;
  readonly last: Index;
  readonly seed: number;
  readonly chain: number;
  readonly bytes: number;
  held: Block | null;
  entries: readonly Entry[] | null;
}

/**
 * The log as memory knows it: terms, the first index of every block, and the newest blocks themselves. Entries handed
 * out are views of the log's own copy of their bytes; older ones are read back and verified each time (A13).
 */
export class Blocks implements LogView {
  readonly #keyValue: KeyValue;
  readonly #cacheBytes: number;
  readonly #onDamage: (e: LogDamaged) => void;
  readonly #terms = new TermTable();
  readonly #known: Known[] = [];
  #floor: Floor;
  #last: EntryId;
  #chain: number;
  #bytes = 0;
  /** The newest `#heldBlocks` of `#known` are held in memory; together they have `#heldBytes`. */
  #heldBlocks = 0;
  #heldBytes = 0;
  /** The last older block that was read, so that a reader going forward in small steps decodes it once. */
  #recent: { readonly known: Known; readonly entries: readonly Entry[] } | null = null;

  constructor(keyValue: KeyValue, floor: Floor, cacheBytes: number, onDamage: (e: LogDamaged) => void) {
    this.#keyValue = keyValue;
    this.#cacheBytes = cacheBytes;
    this.#onDamage = onDamage;
    this.#floor = floor;
    this.#last = floor.id;
    this.#chain = floor.chain;
    this.#terms.extend(floor.id.index, floor.id.term);
  }

  first(): Index {
    return this.#floor.id.index + 1;
  }

  last(): EntryId {
    return this.#last;
  }

  get floor(): Floor {
    return this.#floor;
  }

  /** The running CRC at the last entry. */
  get chain(): number {
    return this.#chain;
  }

  /** Bytes of all stored blocks. */
  get bytes(): number {
    return this.#bytes;
  }

  term(i: Index): Term | "compacted" | "beyond" {
    if (i > this.#last.index) return "beyond";
    return i < this.#floor.id.index ? "compacted" : this.#terms.at(i);
  }

  /** As LogView says; `hi` past the end means up to the end. Throws {@link LogDamaged}. */
  read(lo: Index, hi: Index, maxBytes: number): readonly Entry[] | "compacted" {
    if (lo < this.first()) return "compacted";
    const end = Math.min(hi, this.#last.index + 1);
    const found: Entry[] = [];
    let bytes = 0;
    for (let at = this.#find(lo), index = lo; index < end; at++) {
      const known = this.#known[at] as Known;
      const entries = this.#entriesOf(known);
      for (let i = index - known.first; i < entries.length && index < end; i++, index++) {
        const entry = entries[i] as Entry;
        bytes += entry.data.length;
        if (bytes > maxBytes && found.length > 0) return found;
        found.push(entry);
      }
    }
    return found;
  }

  /** The running CRC at an index of the log, from the floor to the last entry. */
  chainAt(index: Index): number {
    if (index === this.#last.index) return this.#chain;
    if (index === this.#floor.id.index) return this.#floor.chain;
    const known = this.#known[this.#find(index)] as Known;
    return index === known.last ? known.chain : chainWithin(this.#load(known), index - known.first + 1);
  }

  /** Adds a block that is on disk and follows the last entry (or, the very first, one that reaches past the floor). */
  add(block: Block, entries: readonly Entry[]): void {
    for (const entry of entries) if (entry.index > this.#floor.id.index) this.#terms.extend(entry.index, entry.term);
    this.#put(block);
  }

  /** The terms of its entries are known. */
  #put(block: Block): void {
    const { head, value } = block;
    const last = head.first + head.count - 1;
    const known: Known = {
      first: head.first,
      last,
      seed: head.seed,
      chain: head.chain,
      bytes: value.length,
      held: block,
      entries: null,
    };
    this.#known.push(known);
    this.#last = { term: head.lastTerm, index: last };
    this.#chain = head.chain;
    this.#bytes += value.length;
    this.#heldBlocks++;
    this.#heldBytes += value.length;
    while (this.#heldBytes > this.#cacheBytes && this.#heldBlocks > 1) this.#release();
  }

  /**
   * Forgets everything above `keep` and gives the database changes that make it so: the keys to delete and, when `keep`
   * lies inside a block, that block cut short. The cut block is held, so nothing here reads what is about to change.
   */
  cutAfter(keep: Index): { readonly deleted: Buffer[]; readonly cut: Block | null } {
    const deleted: Buffer[] = [];
    let cut: Block | null = null;
    if (keep >= this.#last.index) return { deleted, cut };
    const chain = this.chainAt(keep);
    for (let known = this.#known.at(-1); known !== undefined && known.last > keep; known = this.#known.at(-1)) {
      const block = known.first <= keep ? this.#shorten(known, keep) : null;
      this.#forgetNewest();
      if (block === null) deleted.push(blockKey(known.first));
      else {
        this.#put(block);
        cut = block;
      }
    }
    this.#last = { term: this.#terms.at(keep), index: keep };
    this.#chain = chain;
    this.#terms.cutAfter(keep);
    return { deleted, cut };
  }

  /** Moves the floor up to an entry of the log and forgets the blocks wholly at or below it; gives their keys, oldest first. */
  raiseFloor(index: Index): Buffer[] {
    const floor: Floor = { id: { index, term: this.#terms.at(index) }, chain: this.chainAt(index) };
    let gone = 0;
    while (gone < this.#known.length && (this.#known[gone] as Known).last <= index) gone++;
    const keys = this.#known.slice(0, gone).map((known) => blockKey(known.first));
    while (this.#heldBlocks > this.#known.length - gone) this.#release();
    for (let at = 0; at < gone; at++) this.#bytes -= (this.#known[at] as Known).bytes;
    this.#known.splice(0, gone);
    this.#terms.cutBefore(index);
    this.#floor = floor;
    return keys;
  }

  /** Forgets the whole log: it is empty after `id`. Gives the keys of all blocks, oldest first. */
  startAfter(id: EntryId): Buffer[] {
    const keys = this.#known.map((known) => blockKey(known.first));
    this.#known.length = 0;
    this.#terms.reset(id.index, id.term);
    this.#floor = { id, chain: 0 };
    this.#last = id;
    this.#chain = 0;
    this.#bytes = 0;
    this.#heldBlocks = 0;
    this.#heldBytes = 0;
    return keys;
  }

  #shorten(known: Known, keep: Index): Block {
    const whole = this.#load(known);
    const entries = decodeEntries(whole).slice(0, keep - known.first + 1);
    const prev = { term: whole.head.prevTerm, index: known.first - 1 };
    return encodeBlock(entries, 0, entries.length, prev, known.seed);
  }

  #forgetNewest(): void {
    const known = this.#known.pop() as Known;
    this.#bytes -= known.bytes;
    if (known.held !== null) {
      this.#heldBlocks--;
      this.#heldBytes -= known.bytes;
    }
  }

  /** Lets go of the oldest held block's bytes; it stays readable from disk. */
  #release(): void {
    const oldest = this.#known[this.#known.length - this.#heldBlocks] as Known;
    oldest.held = null;
    oldest.entries = null;
    this.#heldBlocks--;
    this.#heldBytes -= oldest.bytes;
  }

  /** Position of the block that holds `index`, which is above the floor and not above the last entry. */
  #find(index: Index): number {
    let low = 0;
    let high = this.#known.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#known[middle] as Known).first <= index) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #entriesOf(known: Known): readonly Entry[] {
    if (known.held !== null) return (known.entries ??= decodeEntries(known.held));
    if (this.#recent?.known === known) return this.#recent.entries;
    const entries = decodeEntries(this.#load(known));
    this.#recent = { known, entries };
    return entries;
  }

  #load(known: Known): Block {
    if (known.held !== null) return known.held;
    const stored = this.#stored(known.first);
    const block = stored === undefined ? { detail: "it is gone" } : readHead(stored);
    if ("detail" in block) return this.#damaged(known, block.detail);
    const { head } = block;
    const same = head.first === known.first && head.seed === known.seed && head.chain === known.chain;
    return same && head.first + head.count - 1 === known.last
      ? block
      : this.#damaged(known, "it is another block than the one written");
  }

  #stored(first: Index): Uint8Array | undefined {
    try {
      return this.#keyValue.getSync(blockKey(first));
    } catch (cause) {
      throw this.#damage(`block ${first} of the log cannot be read`, cause);
    }
  }

  #damaged(known: Known, detail: string): never {
    throw this.#damage(
      `block ${known.first} of the log (entries ${known.first} to ${known.last}) no longer reads back: ${detail}`,
    );
  }

  #damage(message: string, cause?: unknown): LogDamaged {
    const damage = new LogDamaged(message, { cause });
    this.#onDamage(damage);
    return damage;
  }
}
