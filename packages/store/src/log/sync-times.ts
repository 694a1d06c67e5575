/** How long the newest synced writes took, for a quantile without keeping them all. */
const kept = 512;

export class SyncTimes {
  readonly #newest = new Float64Array(kept);
  #count = 0;

  /** Writes since start. */
  get count(): number {
    return this.#count;
  }

  add(ms: number): void {
    this.#newest[this.#count % kept] = ms * 1000;
    this.#count++;
  }

  /** Over the newest 512 writes, in microseconds; 0 before the first one. */
  p99Us(): number {
    const known = this.#newest.slice(0, Math.min(this.#count, kept)).toSorted();
    return Math.round(known[Math.ceil(known.length * 0.99) - 1] ?? 0);
  }
}
