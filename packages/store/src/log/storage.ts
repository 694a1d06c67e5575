/**
 * The durable Raft log over a {@link KeyValue} and a guard.
 *
 * Order of one append: what the group takes away is forgotten in memory, the guard is lowered if it stands on something
 * that goes, one synced batch writes the rest with the hard state, the guard is raised (awaited when a term or vote
 * changed or entries went, beside the next appends otherwise), and only then the new entries are seen. So the view never
 * shows what is not durable, and never what is about to change on disk. The log copies the entries' bytes: the caller's
 * buffers are its own again when append() resolves.
 */
import { failpoints } from "@aether/core/kernel/failpoint";
import type { AppendBatch, Entry, EntryId, HardState, Index, LogStats, LogStorage, LogView, SnapMeta } from "@aether/raft/types";
import { type Block, blockEnd, encodeBlock } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { LogFailed } from "./errors.ts";
import type { Guard, GuardWriter } from "./guard.ts";
import { blockKey, encodeFloor, encodeHard, encodeSnap, type Floor, floorKey, hardKey, snapKey } from "./keys.ts";
import { type Plan, planAppend } from "./plan.ts";
import type { KeyValue, LogClock, Op } from "./ports.ts";
import { SyncTimes } from "./sync-times.ts";

/** Calls that may wait for the one under way; the driver has one append and one compaction at a time. */
const waitingMax = 1024;
/** Keys deleted by one compaction write. */
export const deletesPerWrite = 1024;

export interface LogParts {
  readonly keyValue: KeyValue;
  readonly clock: LogClock;
  readonly blocks: Blocks;
  readonly hard: HardState;
  readonly snap: EntryId;
  /** Keys of blocks below the floor, still to be deleted. */
  readonly stale: readonly Buffer[];
}

export class DurableLog implements LogStorage {
  readonly view: LogView;
  readonly #keyValue: KeyValue;
  readonly #clock: LogClock;
  readonly #blocks: Blocks;
  readonly #guard: GuardWriter;
  readonly #stale: readonly Buffer[];
  readonly #syncTimes = new SyncTimes();
  #hard: HardState;
  #snap: EntryId;
  /** What the disk knows of the commit index; it may trail `#hard.commit`. */
  #storedCommit: Index;
  #writes = 0;
  #failure: Error | null = null;
  #closed = false;
  #lane: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(parts: LogParts, makeGuard: (onFailed: (e: Error) => void) => GuardWriter) {
    this.#keyValue = parts.keyValue;
    this.#clock = parts.clock;
    this.#blocks = parts.blocks;
    this.view = parts.blocks;
    this.#hard = parts.hard;
    this.#snap = parts.snap;
    this.#stale = parts.stale;
    this.#storedCommit = parts.hard.commit;
    this.#guard = makeGuard((error) => this.fail(error));
  }

  /** Raises the guard to what was found, so that from here on nothing found may vanish, and clears what lies below the floor. */
  async begin(): Promise<void> {
    await this.#guard.write(this.#guardNow());
    if (this.#stale.length > 0) await this.#inTurn(() => this.#clear(this.#stale));
  }

  /** Marks the log dead: what it knows can no longer be trusted, and every later call rejects. */
  fail(cause: unknown): LogFailed {
    this.#failure ??= cause instanceof Error ? cause : new Error(String(cause));
    return new LogFailed(
      `the log is dead: ${this.#failure.message}. End the process; it recovers from disk when started again.`,
      {
        cause: this.#failure,
      },
    );
  }

  append(batches: readonly AppendBatch[]): Promise<void> {
    return this.#inTurn(() => this.#append(batches));
  }

  compact(upTo: Index): Promise<void> {
    return this.#inTurn(() => this.#compact(upTo));
  }

  stats(): LogStats {
    return { bytes: this.#blocks.bytes, writes: this.#writes, syncs: this.#syncTimes.count, syncP99Us: this.#syncTimes.p99Us() };
  }

  /** Writes down the newest commit index and guard, then lets go of the files. Nothing may be called afterwards. */
  async close(): Promise<void> {
    if (this.#closed) return;
    await this.#lane;
    this.#closed = true;
    try {
      if (this.#failure === null) {
        if (this.#storedCommit !== this.#hard.commit)
          await this.#write([this.#hardOp(this.#hard, this.#blocks.last(), this.#blocks.chain)]);
        await this.#guard.write(this.#guardNow());
      }
    } finally {
      await this.#guard.close();
      await this.#keyValue.close();
    }
  }

  /** Runs one call at a time, in order. An idle log starts at once. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    if (this.#closed) return Promise.reject(new LogFailed("the log is closed"));
    if (this.#waiting >= waitingMax) return Promise.reject(this.fail(new Error(`${waitingMax} calls wait for the disk`)));
    const turn = this.#waiting === 0 ? this.#attempt(run) : this.#lane.then(() => this.#attempt(run));
    this.#waiting++;
    this.#lane = turn.then(
      () => this.#waiting--,
      () => this.#waiting--,
    );
    return turn;
  }

  async #attempt(run: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) throw this.fail(this.#failure);
    try {
      await run();
    } catch (error) {
      throw this.fail(error);
    }
    // The guard may have failed meanwhile: what it should protect is then not acknowledged.
    if (this.#failure !== null) throw this.fail(this.#failure);
  }

  async #append(batches: readonly AppendBatch[]): Promise<void> {
    const plan = planAppend(this.#blocks, this.#hard, batches);
    if (!plan.write) {
      this.#hard = plan.hard;
      return;
    }
    const sworn = this.#guard.newest;
    const { floor } = this.#blocks;
    const cuts = plan.snap !== null || plan.keep.index < this.#blocks.last().index;
    const ops = this.#remove(plan);
    const base: Floor = { id: this.#blocks.last(), chain: this.#blocks.chain };
    const packed = pack(plan.entries, base);
    const { id: last, chain } = packed.at(-1)?.end ?? base;
    for (const { block } of packed) ops.push({ type: "put", key: blockKey(block.head.first), value: block.value });
    if (plan.snap !== null) {
      this.#snap = plan.snap.id;
      ops.push(
        { type: "put", key: snapKey, value: encodeSnap(plan.snap) },
        { type: "put", key: floorKey, value: encodeFloor(this.#blocks.floor) },
      );
    }
    ops.push(this.#hardOp(plan.hard, last, chain));
    if (cuts) await this.#lowerGuard(plan.anew ? floor : base);
    if (failpoints.at !== null) await failpoints.at("beforeAppendSync");
    await this.#write(ops);
    if (failpoints.at !== null) await failpoints.at(cuts ? "afterTruncate" : "afterAppendSync");
    const promised = plan.hard.term !== sworn.term || plan.hard.vote !== sworn.vote;
    if (promised || cuts) await this.#swear({ term: plan.hard.term, vote: plan.hard.vote, last, chain });
    if (failpoints.at !== null) await failpoints.at("beforeThenSend");
    this.#hard = plan.hard;
    for (const { block, entries } of packed) this.#blocks.add(block, entries);
    this.#guard.follow(last.index, () => (this.#failure === null ? this.#guardNow() : null));
  }

  /** Forgets in memory what the plan takes away, and gives the database changes for it. */
  #remove(plan: Plan): Op[] {
    const blocks = this.#blocks;
    // All of them at once: compaction keeps the number of blocks small, and a stale one above the snapshot must not survive it.
    if (plan.anew) return deletions(blocks.startAfter((plan.snap as SnapMeta).id));
    const { deleted, cut } = blocks.cutAfter(plan.keep.index);
    const ops = deletions(deleted);
    if (cut !== null) ops.push({ type: "put", key: blockKey(cut.head.first), value: cut.value });
    if (plan.snap !== null) ops.push(...deletions(blocks.raiseFloor(plan.snap.id.index)));
    return ops;
  }

  /**
   * Before entries go, the guard must not stand on them: a crash right after the batch would find a log behind its guard
   * and call it lost. At `safe` it fits the log before and after; nothing raises it again before the batch is done.
   */
  async #lowerGuard(safe: Floor): Promise<void> {
    if (failpoints.at !== null) await failpoints.at("beforeTruncate");
    await this.#guard.settle();
    const { term, vote, last } = this.#guard.newest;
    if (last.index > safe.id.index) await this.#guard.write({ term, vote, last: safe.id, chain: safe.chain });
  }

  /** What others may be told next must be in the guard first. */
  async #swear(guard: Guard): Promise<void> {
    if (failpoints.at !== null) await failpoints.at("beforeVoteGuard");
    await this.#guard.write(guard);
    if (failpoints.at !== null) await failpoints.at("afterVoteGuard");
  }

  async #compact(upTo: Index): Promise<void> {
    const index = Math.min(upTo, this.#blocks.last().index);
    if (index < this.#blocks.first()) return;
    if (failpoints.at !== null) await failpoints.at("beforeCompact");
    await this.#clear(this.#blocks.raiseFloor(index));
    if (failpoints.at !== null) await failpoints.at("afterCompact");
  }

  async #clear(keys: readonly Buffer[]): Promise<void> {
    const floor: Op = { type: "put", key: floorKey, value: encodeFloor(this.#blocks.floor) };
    // The first write is synced: history is trimmed after this, and the log must not come back with what that no longer knows.
    // Every write carries the floor: if one of them is lost in a crash and a later one is not, no hole is left above it.
    for (let at = 0; at < Math.max(keys.length, 1); at += deletesPerWrite) {
      await this.#keyValue.batch([floor, ...deletions(keys.slice(at, at + deletesPerWrite))], { sync: at === 0 });
      this.#writes++;
    }
  }

  async #write(ops: readonly Op[]): Promise<void> {
    const start = this.#clock.now();
    await this.#keyValue.batch(ops, { sync: true });
    this.#syncTimes.add(this.#clock.now() - start);
    this.#writes++;
  }

  #hardOp(hard: HardState, last: EntryId, chain: number): Op {
    this.#storedCommit = hard.commit;
    return { type: "put", key: hardKey, value: encodeHard({ hard, last, chain, snap: this.#snap }) };
  }

  #guardNow(): Guard {
    return { term: this.#hard.term, vote: this.#hard.vote, last: this.#blocks.last(), chain: this.#blocks.chain };
  }
}

const deletions = (keys: readonly Buffer[]): Op[] => keys.map((key) => ({ type: "del", key }));

interface Packed {
  readonly block: Block;
  readonly entries: readonly Entry[];
  /** The log's end with this block. */
  readonly end: Floor;
}

function pack(entries: readonly Entry[], after: Floor): Packed[] {
  const packed: Packed[] = [];
  let end = after;
  for (let from = 0; from < entries.length;) {
    const to = blockEnd(entries, from);
    const block = encodeBlock(entries, from, to, end.id, end.chain);
    const { first, count, lastTerm, chain } = block.head;
    end = { id: { term: lastTerm, index: first + count - 1 }, chain };
    packed.push({ block, entries: from === 0 && to === entries.length ? entries : entries.slice(from, to), end });
    from = to;
  }
  return packed;
}
