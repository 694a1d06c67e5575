/**
 * The state's way to disk, behind the apply: one atomic, synced batch of everything that changed, with the applied index
 * inside. The Raft log is the durability; a flush only shortens the next start. All writers take turns.
 */
import { failpoints } from "@aether/core/kernel/failpoint";
import type { EntryId, Index } from "@aether/raft/types";
import type { AppliedState } from "./applied-state.ts";
import { digestBytes } from "./audit-chain.ts";
import { decodeRun, encodeRun } from "./history-index.ts";
import { encodeRow } from "./rows.ts";
import type { Slot } from "./rows.ts";
import { bareKey, historyKey, keyNumber, kindRange, metaKey, numberKey, rowKey, withGeneration } from "./state-db.ts";
import type { Range, StateDb, StateOp, StateView } from "./state-db.ts";
import { encodeAnswers } from "./state-load.ts";
import type { SessionPack } from "./state-load.ts";
import { SumKeeper, encodeMeta, headOf } from "./state-meta.ts";
import type { StateMeta } from "./state-meta.ts";
import { seal, sealOf, unseal } from "./value-codec.ts";

export class StateDisk {
  readonly db: StateDb;
  /** What the next write of `meta` builds on; runs ahead of {@link durable} while a write is under way. */
  private meta: StateMeta;
  /** The entry up to which everything is on disk. */
  durable: EntryId;
  private sum: SumKeeper;
  private packs: SessionPack[];
  private turn: Promise<void> = Promise.resolve();
  private queued: Promise<Index> | null = null;

  constructor(db: StateDb, meta: StateMeta, packs: SessionPack[]) {
    this.db = db;
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
  freeze(state: AppliedState): Promise<{ meta: StateMeta; view: StateView }> {
    return this.exclusive(async () => {
      await this.write(state);
      return { meta: this.meta, view: this.db.view() };
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

  /** A new generation has been written in full and `meta` names it: go on from there. Only inside {@link exclusive}. */
  adopt(meta: StateMeta, packs: SessionPack[]): void {
    this.meta = meta;
    this.durable = meta.applied;
    this.sum = new SumKeeper(meta.disk);
    this.packs = packs;
  }

  /** Indexes of the entries about `thing` at or after `from`, ascending, at most `limit`, memory and disk together. */
  async history(state: AppliedState, thing: string, from: Index, limit: number): Promise<readonly Index[]> {
    // memory and view are of the same moment, so nothing falls between them; what is in both is dropped below
    const recent = state.history.recent(thing);
    const view = this.db.view();
    const found: number[] = [];
    try {
      const range = {
        gte: this.key(historyKey(thing, 0)),
        lt: this.key(historyKey(thing, Number.MAX_SAFE_INTEGER)),
      };
      for await (const page of view.scan(range)) {
        for (const [key, value] of page) {
          if (key.length !== range.gte.length) continue;
          for (const index of decodeRun(keyNumber(key), unseal(bareKey(key), value))) if (index >= from) found.push(index);
        }
        if (found.length >= limit) break;
      }
    } finally {
      await view.close();
    }
    const last = found[found.length - 1] ?? 0;
    return [...found, ...recent.filter((index) => index >= from && index > last)].slice(0, limit);
  }

  /** The chain digest this member recorded at `index`, undefined when it is no longer (or not yet) kept. */
  async chainAt(state: AppliedState, index: Index): Promise<Uint8Array | undefined> {
    const recent = state.trail.recent(index);
    if (recent !== undefined) return Buffer.from(recent);
    const pair = await this.db.last({
      gte: kindRange(this.generation, "c").gte,
      lt: this.key(numberKey("c", index + 1)),
    });
    if (pair === undefined) return undefined;
    const digests = unseal(bareKey(pair[0]), pair[1]);
    const at = (index - keyNumber(pair[0])) * digestBytes;
    return at + digestBytes > digests.length ? undefined : Buffer.from(digests.subarray(at, at + digestBytes));
  }

  /** Forgets history and digests of entries below `first`. In slices, between which flushes take their turns. */
  async trim(first: Index): Promise<void> {
    await failpoints.at?.("beforeTrim");
    const generation = this.generation;
    const chain = kindRange(generation, "c");
    await this.trimRange(generation, chain, (key, payload) => keyNumber(key) + payload().length / digestBytes < first);
    // most runs begin at or above `first`, which their key tells
    const before = (key: Uint8Array, payload: () => Uint8Array): boolean =>
      keyNumber(key) < first && lastOfRun(key, payload()) < first;
    await this.trimRange(generation, kindRange(generation, "h"), before);
  }

  private async trimRange(
    generation: number,
    range: Range,
    old: (key: Uint8Array, payload: () => Uint8Array) => boolean,
  ): Promise<void> {
    for await (const page of this.db.scan(range)) {
      const gone = page.filter(([key, value]) => old(key, () => unseal(bareKey(key), value)));
      if (gone.length === 0) continue;
      const done = await this.exclusive(async () => {
        if (this.generation !== generation) return true;
        for (const [, value] of gone) this.sum.remove(sealOf(value));
        this.meta = { ...this.meta, disk: this.sum.value };
        await this.db.write([...gone.map(([key]) => ({ type: "del", key }) as const), this.metaOp()]);
        return false;
      });
      if (done) return;
    }
  }

  private async write(state: AppliedState): Promise<Index> {
    // lower: a flush of the state that a restore has replaced since
    if (state.applied.index <= this.meta.applied.index) return this.meta.applied.index;
    const head = headOf(state);
    const ops: StateOp[] = [];
    const slots = state.rows.takeDirty();
    for (const slot of slots) this.pushRow(ops, slot);
    for (const [thing, indexes] of state.history.take())
      this.pushSealed(ops, historyKey(thing, indexes[0] ?? 0), encodeRun(indexes));
    const digests = state.trail.unflushed();
    if (digests !== null) this.pushSealed(ops, numberKey("c", digests.first), digests.digests);
    this.pushAnswers(ops, state);
    this.meta = { ...head, generation: this.generation, disk: this.sum.value };
    ops.push(this.metaOp());
    if (failpoints.at !== null) await failpoints.at("beforeFlush");
    await this.db.write(ops);
    if (failpoints.at !== null) await failpoints.at("afterFlush");
    this.durable = head.applied;
    state.trail.flushed(head.applied.index);
    state.history.flushed();
    state.rows.dropRemoved(slots);
    return head.applied.index;
  }

  private pushRow(ops: StateOp[], slot: Slot): void {
    const bare = rowKey(slot.noun, slot.id);
    if (slot.diskCrc !== null) this.sum.remove(slot.diskCrc);
    if (slot.stored === undefined) {
      if (slot.diskCrc !== null) ops.push({ type: "del", key: this.key(bare) });
      slot.diskCrc = null;
      return;
    }
    slot.diskCrc = this.pushSealed(ops, bare, slot.bytes ?? encodeRow(slot.stored));
    slot.bytes = null;
  }

  private pushAnswers(ops: StateOp[], state: AppliedState): void {
    const fresh = state.sessions.takeFresh();
    const [oldest] = fresh;
    if (oldest !== undefined) {
      const bare = numberKey("s", oldest.seq);
      const crc = this.pushSealed(ops, bare, encodeAnswers(fresh));
      this.packs.push({ key: this.key(bare), crc, lastSeq: state.sessions.seq });
    }
    const kept = this.packs.findIndex((p) => p.lastSeq > state.sessions.floor);
    for (const gone of this.packs.splice(0, Math.max(0, kept))) {
      this.sum.remove(gone.crc);
      ops.push({ type: "del", key: gone.key });
    }
  }

  private pushSealed(ops: StateOp[], bare: Uint8Array, payload: Uint8Array): number {
    const value = seal(bare, payload);
    const crc = sealOf(value);
    this.sum.add(crc);
    ops.push({ type: "put", key: this.key(bare), value });
    return crc;
  }

  private metaOp(): StateOp {
    return { type: "put", key: metaKey, value: encodeMeta(this.meta) };
  }

  private key(bare: Uint8Array): Uint8Array {
    return withGeneration(this.generation, bare);
  }
}

function lastOfRun(key: Uint8Array, payload: Uint8Array): number {
  const run = decodeRun(keyNumber(key), payload);
  return run[run.length - 1] ?? 0;
}
