import type { Clock } from "../../types.ts";

/** One process's clock: while it is paused nothing of it runs, as under SIGSTOP, though time passes for the others. */
export class PausableClock implements Clock {
  readonly #clock: Clock;
  #paused = false;
  #missed: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    return this.#clock.now();
  }

  after(ms: number, f: () => void): () => void {
    let cancelled = false;
    const cancel = this.#clock.after(ms, () => this.#run(() => cancelled || f()));
    return () => {
      cancelled = true;
      cancel();
    };
  }

  immediate(f: () => void): void {
    this.#clock.immediate(() => this.#run(f));
  }

  pause(): void {
    this.#paused = true;
  }

  /** What came due meanwhile runs now, each once. */
  resume(): void {
    this.#paused = false;
    const missed = this.#missed;
    this.#missed = [];
    for (const f of missed) f();
  }

  #run(f: () => void): void {
    if (this.#paused) this.#missed.push(f);
    else f();
  }
}
