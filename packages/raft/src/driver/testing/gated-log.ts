import type { MemoryLog } from "../../memory-log.ts";
import type { AppendBatch, Clock, Index, LogStats, LogStorage, LogView } from "../../types.ts";

/** A log whose writes take time, can be held, and can fail. Nothing reaches `inner` before its write completes. */
export class GatedLog implements LogStorage {
  readonly inner: MemoryLog;
  readonly #clock: Clock;
  /** How long a write takes; 0 completes in the same turn. */
  writeMs = 0;
  /** While true, writes wait for {@link release}. */
  held = false;
  /** The next write is rejected with this. */
  failure: Error | null = null;
  readonly groupSizes: number[] = [];
  #waiting: (() => void)[] = [];

  constructor(inner: MemoryLog, clock: Clock) {
    this.inner = inner;
    this.#clock = clock;
  }

  get view(): LogView {
    return this.inner.view;
  }

  async append(batches: readonly AppendBatch[]): Promise<void> {
    this.groupSizes.push(batches.length);
    if (this.held) await new Promise<void>((done) => this.#waiting.push(done));
    else if (this.writeMs > 0) await new Promise<void>((done) => this.#clock.after(this.writeMs, done));
    if (this.failure !== null) throw this.failure;
    this.inner.write(batches);
  }

  release(): void {
    this.held = false;
    for (const done of this.#waiting) done();
    this.#waiting = [];
  }

  compact(upTo: Index): Promise<void> {
    return this.inner.compact(upTo);
  }

  stats(): LogStats {
    return this.inner.stats();
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
