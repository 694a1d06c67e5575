import { invariant } from "../errors.ts";
import type { AppendBatch, Clock, EntryId, HardState, LogStorage } from "../types.ts";

/** One write takes at most this many bytes of entries, so that a long sync is not followed by an endless one. */
const maxGroupBytes = 16 * 1024 * 1024;
/** Batches that may wait for one write. Reached only when the disk has not completed a write for minutes. */
const maxQueuedBatches = 16_384;
/** Writes in a row that must be quick before a slow disk counts as healthy again. */
const cleanWritesToHeal = 10;
/** The token of a write made only to see how the disk is; the core never hears of it. */
const probe = -1;

export interface WriterEvents {
  /** The batches are durable, in order: release what waited for them. May be asynchronous (a snapshot is restored first). */
  readonly durable: (batches: readonly AppendBatch[]) => Promise<void> | void;
  readonly sick: (sick: boolean) => void;
  /** The storage refused; it must not be used again. */
  readonly failed: (e: Error) => void;
}

/**
 * Single-flight writer with group commit: everything that was queued while the last write ran becomes the next one. No
 * timer and no wait stands between a batch and the disk.
 *
 * A batch that writes nothing (its answers depend only on what was written before) takes its turn in order but costs no
 * write; the commit index alone is never written by itself, the core lets it ride along.
 */
export class GroupCommit {
  groups = 0;
  /** Last entry known durable here. */
  #durableLast: EntryId;

  readonly #log: LogStorage;
  readonly #clock: Clock;
  readonly #stallMs: number;
  readonly #events: WriterEvents;
  #queue: AppendBatch[] = [];
  /** Cleared in the same breath in which the queue is seen empty, so that no batch is left lying between two runs. */
  #busy = false;
  #run: Promise<void> = Promise.resolve();
  #writingSince: number | null = null;
  #sick = false;
  #cleanWrites = 0;
  #hard: HardState;
  #closed = false;

  constructor(log: LogStorage, clock: Clock, stallMs: number, hard: HardState, events: WriterEvents) {
    this.#log = log;
    this.#clock = clock;
    this.#stallMs = stallMs;
    this.#events = events;
    this.#hard = hard;
    this.#durableLast = log.view.last();
  }

  /** Whether a write, or what follows from one, is under way. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Takes the batch; when nothing is being written it goes to the disk before this returns. */
  push(batch: AppendBatch): void {
    if (this.#closed) return;
    invariant(this.#queue.length < maxQueuedBatches, "A14 the log's write queue is full: the disk completes no write");
    this.#queue.push(batch);
    this.#start();
  }

  /**
   * Called once a tick: notices a write that hangs, and while sick and idle writes the hard state again so that there is
   * something to judge the disk by (an idle member would otherwise stay sick for ever).
   */
  watch(): void {
    if (this.#writingSince !== null) {
      if (this.#clock.now() - this.#writingSince > this.#stallMs) this.#turnSick();
    } else if (this.#sick && !this.#busy) {
      const last = this.#durableLast;
      this.push({
        token: probe,
        term: this.#hard.term,
        hard: this.#hard,
        slice: null,
        snap: null,
        last,
        sync: true,
        thenSend: [],
      });
    }
  }

  /** Ends after the write under way; what is still queued was never acknowledged and is let go. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue = [];
    await this.#run;
  }

  #start(): void {
    if (this.#busy) return;
    this.#busy = true;
    this.#run = this.#drain().catch((e: unknown) => {
      this.#closed = true;
      this.#queue = [];
      this.#events.failed(e instanceof Error ? e : new Error(String(e)));
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      const group = this.#nextGroup();
      if (group.some(needsWrite)) await this.#write(group);
      if (this.#closed) break;
      const released = this.#events.durable(group.filter((batch) => batch.token !== probe));
      if (released !== undefined) await released;
    }
    this.#busy = false;
  }

  /** Up to {@link maxGroupBytes}; batches that need no write go with whatever write comes, or alone when none does. */
  #nextGroup(): AppendBatch[] {
    let bytes = 0;
    let count = 0;
    for (const batch of this.#queue) {
      for (const entry of batch.slice?.entries ?? []) bytes += entry.data.length;
      if (count > 0 && bytes > maxGroupBytes) break;
      count += 1;
    }
    if (count === this.#queue.length) {
      const all = this.#queue;
      this.#queue = [];
      return all;
    }
    return this.#queue.splice(0, count);
  }

  async #write(group: readonly AppendBatch[]): Promise<void> {
    const began = this.#clock.now();
    this.#writingSince = began;
    this.groups += 1;
    await this.#log.append(group);
    this.#writingSince = null;
    for (const batch of group) if (batch.hard !== null) this.#hard = batch.hard;
    this.#judge(this.#clock.now() - began);
    const last = this.#log.view.last();
    const promised = group.at(-1)?.last;
    invariant(promised?.index === last.index && promised.term === last.term, "A8 the log ends where the newest batch says");
    this.#durableLast = last;
  }

  #judge(tookMs: number): void {
    if (tookMs > this.#stallMs) {
      this.#cleanWrites = 0;
      return;
    }
    this.#cleanWrites += 1;
    if (this.#sick && this.#cleanWrites >= cleanWritesToHeal) {
      this.#sick = false;
      this.#events.sick(false);
    }
  }

  #turnSick(): void {
    this.#cleanWrites = 0;
    if (this.#sick) return;
    this.#sick = true;
    this.#events.sick(true);
  }
}

function needsWrite(batch: AppendBatch): boolean {
  return batch.hard !== null || batch.slice !== null || batch.snap !== null;
}
