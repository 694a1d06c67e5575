/** Bounds how many dials are under way at a time; the others wait their turn. */
export class DialSlots {
  readonly #max: number;
  #taken = 0;
  readonly #waiting = new Set<() => void>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Calls `go` when a slot is free, perhaps at once. Returns the way to give up waiting. Each `go` owes one {@link release}. */
  acquire(go: () => void): () => void {
    if (this.#taken < this.#max) {
      this.#taken += 1;
      go();
      return () => undefined;
    }
    this.#waiting.add(go);
    return () => void this.#waiting.delete(go);
  }

  release(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#taken -= 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
