/**
 * The state's way to disk, behind the apply: one atomic, synced batch of everything that changed, with the applied index
 * inside. The Raft log is the durability; a flush only shortens the next start. All writers take turns.
 *
 * A flush covers one moment, but does its work in steps between which commands and messages get their turn: what is of the
 * moment is taken in one go (which rows changed and what they are, all immutable), and turned into bytes afterwards.
 */
import { failpoints } from "@aether/core/kernel/failpoint";
import type { EntryId, Index } from "@aether/raft/types";
import type { StoreTiming } from "../types.ts";
import type { AppliedState } from "./applied-state.ts";
import { digestBytes } from "./audit-chain.ts";
import { FlushBuffer } from "./flush-buffer.ts";
import { indexesIn } from "./history-index.ts";
import { KnownPacks } from "./known-packs.ts";
import type { Packs } from "./pack-list.ts";
import { encodeRow } from "./row-table.ts";
import type { Rows, TakenRow } from "./rows.ts";
import { bareKey, keyNumber, kindRange, metaKey, numberKey, rowKey, withGeneration } from "./state-db.ts";
import type { StateDb, StateOp, StateView } from "./state-db.ts";
import { SumKeeper, encodeMeta, headOf } from "./state-meta.ts";
import type { StateMeta } from "./state-meta.ts";
import { Damaged, unseal } from "./value-codec.ts";

/** Rows encoded or hashed, and packs deleted, in one step: a millisecond or less. Of large rows, which take longer, fewer. */
const stepRows = 256;
const stepBytes = 512 * 1024;
const stepPacks = 512;
/** Chain digests in one value. */
const chainEntries = 4_096;

export class StateDisk {
  readonly db: StateDb;
  /** What the next write of `meta` builds on; runs ahead of {@link durable} while a write is under way. */
  private meta: StateMeta;
  /** The entry up to which everything is on disk. */
  durable: EntryId;
  private sum: SumKeeper;
  private packs: Packs;
  private readonly timing: StoreTiming;
  private readonly buffer = new FlushBuffer();
  private turn: Promise<void> = Promise.resolve();
  private queued: Promise<Index> | null = null;

  constructor(db: StateDb, meta: StateMeta, packs: Packs, timing: StoreTiming) {
    this.db = db;
    this.timing = timing;
    this.meta = meta;
    this.durable = meta.applied;
    this.sum = new SumKeeper(meta.disk);
    this.packs = packs;
  }

  get generation(): number {
    return this.meta.generation;
  }

  /** Makes everything applied at the moment of writing durable; calls made while one waits its turn share it. */
  flush(state: AppliedState): Promise<Index> {
    this.queued ??= this.exclusive(() => {
      this.queued = null;
      return this.write(state);
    });
    return this.queued;
  }

  /** Flushes, and freezes what was flushed before anything else is written. The view must be closed. */
  freeze(state: AppliedState): Promise<{ meta: StateMeta; answerPacks: number; view: StateView }> {
    return this.exclusive(async () => {
      await this.write(state);
      return { meta: this.meta, answerPacks: this.packs.s.size, view: this.db.view() };
    });
  }

  /** Runs `f` while no one else writes. A rejection is the caller's to make fatal. */
  exclusive<T>(f: () => Promise<T>): Promise<T> {
    const result = this.turn.then(f);
    this.turn = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  /** Writes `meta` as it is. Only inside {@link exclusive}. */
  writeMeta(): Promise<void> {
    return this.db.write([this.metaOp()]);
  }

  /** A new generation has been written in full and `meta` names it: go on from there. Only inside {@link exclusive}. */
  adopt(meta: StateMeta, packs: Packs): void {
    this.meta = meta;
    this.durable = meta.applied;
    this.sum = new SumKeeper(meta.disk);
    this.packs = packs;
  }

  /**
   * Indexes of the entries about `thing` at or after `from`, ascending, at most `limit`, memory and disk together. Rejects with
   * Damaged when a pack on disk is altered or gone.
   */
  async history(state: AppliedState, thing: string, from: Index, limit: number): Promise<readonly Index[]> {
    // memory, view and what must be in it are of the same moment, so nothing falls between them; what is in both is dropped below
    const recent = state.history.recent(thing);
    const name = Buffer.from(thing);
    const known = new KnownPacks(this.packs.h.all(), this.durable.index);
    const view = this.db.view();
    const found: number[] = [];
    try {
      for await (const page of view.scan(kindRange(this.generation, "h"))) {
        for (const [key, value] of page) {
          const bare = bareKey(key);
          const first = keyNumber(bare);
          known.meets(first, value);
          for (const index of indexesIn(first, unseal(bare, value), name)) if (index >= from) found.push(index);
          await this.othersTurn();
        }
        if (found.length >= limit) break;
      }
      if (found.length < limit) known.end();
    } finally {
      await view.close();
    }
    const last = found[found.length - 1] ?? 0;
    return [...found, ...recent.filter((index) => index >= from && index > last)].slice(0, limit);
  }

  /**
   * The chain digest this member recorded at `index`, undefined when it is no longer (or not yet) kept. Rejects with Damaged when
   * what is on disk of it is altered or gone.
   */
  async chainAt(state: AppliedState, index: Index): Promise<Uint8Array | undefined> {
    const recent = state.trail.recent(index);
    if (recent !== undefined) return Buffer.from(recent);
    const { generation } = this;
    const pack = this.packs.c.holding(index);
    if (pack === undefined) return undefined;
    const bare = numberKey("c", pack.first);
    const sealed = await this.db.get(withGeneration(generation, bare));
    // trimmed, or replaced with the whole state, while it was read
    if (generation !== this.generation || this.packs.c.holding(index)?.first !== pack.first) return undefined;
    if (sealed === undefined) throw new Damaged(`the chain digests from ${pack.first} on are gone`);
    const digests = unseal(bare, sealed);
    const at = (index - pack.first) * digestBytes;
    return at + digestBytes > digests.length ? undefined : Buffer.from(digests.subarray(at, at + digestBytes));
  }

  /** Forgets history and digests of entries below `first`. In steps, between which flushes take their turns. */
  async trim(first: Index): Promise<void> {
    await failpoints.at?.("beforeTrim");
    const { generation } = this;
    for (let more = true; more;) {
      more = await this.exclusive(async () => {
        if (this.generation !== generation) return false;
        const ops = [...this.dropPacks("c", first, stepPacks), ...this.dropPacks("h", first, stepPacks)];
        if (ops.length === 0) return false;
        this.meta = { ...this.meta, disk: this.sum.value };
        await this.db.write([...ops, this.metaOp()]);
        return true;
      });
    }
  }

  private async write(state: AppliedState): Promise<Index> {
    // lower: a flush of the state that a restore has replaced since
    if (state.applied.index <= this.meta.applied.index) return this.meta.applied.index;
    await this.prepare(state);
    // from here to the next await everything is of one moment
    const head = headOf(state);
    const rows = state.rows.takeDirty();
    const answers = state.sessions.takeFresh();
    const { floor } = state.sessions;
    const digests = state.trail.unflushed();
    const history = state.history.take();
    const ops: StateOp[] = [];
    this.buffer.reset();
    for (const { first, bytes } of answers) this.pushPack(ops, "s", first, bytes);
    let [inStep, bytesInStep] = [0, 0];
    for (const row of rows) {
      if (inStep === stepRows || bytesInStep >= stepBytes) {
        await this.othersTurn();
        [inStep, bytesInStep] = [0, 0];
      }
      bytesInStep += this.pushRow(ops, state.rows, row);
      inStep++;
    }
    for (const pack of history) {
      if (pack !== null) this.pushPack(ops, "h", pack.first, pack.bytes);
      if (pack?.more !== false) await this.othersTurn();
    }
    for (let i = 0; i < digests.digests.length; i += chainEntries * digestBytes) {
      this.pushPack(ops, "c", digests.first + i / digestBytes, digests.digests.subarray(i, i + chainEntries * digestBytes));
    }
    ops.push(...this.dropPacks("s", floor + 1, Number.POSITIVE_INFINITY));
    this.meta = { ...head, generation: this.generation, disk: this.sum.value };
    ops.push(this.metaOp());
    if (failpoints.at !== null) await failpoints.at("beforeFlush");
    await this.db.write(ops);
    if (failpoints.at !== null) await failpoints.at("afterFlush");
    this.durable = head.applied;
    state.trail.flushed(head.applied.index);
    state.history.flushed();
    state.rows.dropRemoved(rows);
    return head.applied.index;
  }

  /** Does what would take long of what the moment needs; what is applied meanwhile is left to it. */
  private async prepare(state: AppliedState): Promise<void> {
    for (let left = state.rows.staleCount; left > 0;) {
      const settled = state.rows.settleSome(Math.min(left, stepRows), stepBytes);
      // somebody may have asked for the digest meanwhile, for which all are hashed
      left = settled === 0 ? 0 : left - settled;
      if (left > 0) await this.othersTurn();
    }
    for (let { seq } = state.sessions; state.sessions.packAhead(seq);) await this.othersTurn();
  }

  /** Returns the bytes that it has encoded. */
  private pushRow(ops: StateOp[], rows: Rows, taken: TakenRow): number {
    const bare = rowKey(taken.noun, taken.id);
    const before = rows.diskCrc(taken);
    if (before !== null) this.sum.remove(before);
    if (taken.stored !== undefined) {
      const bytes = encodeRow(taken.stored);
      const { length } = bytes;
      rows.written(taken, bytes, this.pushSealed(ops, bare, bytes));
      return length;
    }
    if (before !== null) {
      ops.push({ type: "del", key: this.key(bare) });
      rows.erased(taken);
    }
    return 0;
  }

  private pushPack(ops: StateOp[], kind: keyof Packs, first: number, bytes: Uint8Array): void {
    this.packs[kind].add(first, this.pushSealed(ops, numberKey(kind, first), bytes));
  }

  private dropPacks(kind: keyof Packs, floor: number, max: number): StateOp[] {
    return this.packs[kind].takeBelow(floor, max).map(({ first, crc }) => {
      this.sum.remove(crc);
      return { type: "del", key: this.key(numberKey(kind, first)) };
    });
  }

  private pushSealed(ops: StateOp[], bare: Uint8Array, payload: Uint8Array): number {
    const { op, crc } = this.buffer.put(this.generation, bare, payload);
    this.sum.add(crc);
    ops.push(op);
    return crc;
  }

  private metaOp(): StateOp {
    return { type: "put", key: metaKey, value: encodeMeta(this.meta) };
  }

  private key(bare: Uint8Array): Uint8Array {
    return withGeneration(this.generation, bare);
  }

  /** Lets waiting input and timers run. */
  othersTurn(): Promise<void> {
    return new Promise((resolve) => this.timing.immediate(resolve));
  }
}
