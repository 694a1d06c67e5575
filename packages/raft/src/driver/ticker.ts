import type { Clock } from "../types.ts";

/**
 * The beat of elections and heartbeats. A loop that was held up, or a process that was stopped, gets one tick and no
 * backlog: time it did not see must not make it call an election.
 */
export class Ticker {
  /** Ticks that came more than one tick late, or were swallowed because the one before was not yet taken. */
  late = 0;

  readonly #clock: Clock;
  readonly #tickMs: number;
  readonly #wake: () => void;
  #nextAt = 0;
  #due: "none" | "onTime" | "late" = "none";
  #cancel: () => void = () => undefined;

  constructor(clock: Clock, tickMs: number, wake: () => void) {
    this.#clock = clock;
    this.#tickMs = tickMs;
    this.#wake = wake;
  }

  start(): void {
    this.#nextAt = this.#clock.now() + this.#tickMs;
    this.#arm();
  }

  stop(): void {
    this.#cancel();
    this.#due = "none";
  }

  /** The tick that is due, once. */
  take(): "none" | "onTime" | "late" {
    const due = this.#due;
    this.#due = "none";
    return due;
  }

  #arm(): void {
    this.#cancel = this.#clock.after(Math.max(0, this.#nextAt - this.#clock.now()), () => this.#beat());
  }

  #beat(): void {
    const now = this.#clock.now();
    const late = now - this.#nextAt > this.#tickMs;
    if (late || this.#due !== "none") this.late += 1;
    this.#due = late ? "late" : "onTime";
    this.#nextAt = late ? now + this.#tickMs : this.#nextAt + this.#tickMs;
    this.#arm();
    this.#wake();
  }
}
