/**
 * What the log needs of a disk. The product puts LevelDB and a small file behind these; the simulator puts memory that
 * forgets, tears and flips.
 */
export type Op =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: Uint8Array };

/** An ordered store of bytes. Any rejection is final: the log never repeats a call that failed. */
export interface KeyValue {
  /** All of `ops` or none, in order. With `sync`, durable when it resolves. */
  batch(ops: readonly Op[], options: { readonly sync: boolean }): Promise<void>;
  /** Bounded by one value; the bytes belong to the caller. */
  getSync(key: Uint8Array): Uint8Array | undefined;
  /** Every pair, ascending by key, in pages of bounded size. */
  pages(): AsyncIterable<readonly (readonly [Uint8Array, Uint8Array])[]>;
  close(): Promise<void>;
}

/** Two slots of {@link guardSlotBytes} bytes, preallocated. `write` is durable when it resolves and touches one slot only. */
export interface GuardFile {
  read(slot: 0 | 1): Promise<Uint8Array>;
  write(slot: 0 | 1, bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export const guardSlotBytes = 512;

/** Time for the guard's pace and for the sync statistics; consensus itself is not driven by it. Fits raft's Clock. */
export interface LogClock {
  /** Milliseconds, monotonic, with fractions. */
  now(): number;
  /** Runs f once after `ms`; returns the canceller. */
  after(ms: number, f: () => void): () => void;
}

export const systemClock: LogClock = {
  now: () => performance.now(),
  after: (ms, f) => {
    const timer = setTimeout(f, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
