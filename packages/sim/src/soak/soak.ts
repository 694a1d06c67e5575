/** Life after life in worker threads, with the sums of what happened in them. */
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { LifeReport } from "../life.ts";
import { type BrokenLife, type SoakRecord, sumOf } from "./record.ts";

export interface SoakOptions {
  readonly from: number;
  /** Lives at a time. */
  readonly cores: number;
  readonly lives: number;
  readonly minutes: number;
  /** Goes on after a broken life. */
  readonly keepGoing: boolean;
  readonly onBroken?: (life: BrokenLife) => void;
}

/**
 * A life takes well under a second on a quiet machine. One that takes so many seconds will not end. They are counted one by one, so
 * that those in which this process was stopped, or its machine slept, do not count.
 */
const lifeSeconds = 300;
/** Broken lives kept by seed; beyond them a soak has nothing more to tell. */
const brokenMax = 100;
/** A life's garbage dies young: with more room for it less is copied. */
const resourceLimits = { maxYoungGenerationSizeMb: 64 };

export class Soak {
  readonly #options: SoakOptions;
  readonly #run = new Date().toISOString();
  readonly #began = performance.now();
  readonly #cpu = process.cpuUsage();
  readonly broken: BrokenLife[] = [];
  #next: number;
  #lives = 0;
  #virtualMs = 0;
  #steps = 0;
  #ended = false;
  #counts: Record<string, number> = {};

  constructor(options: SoakOptions) {
    this.#options = options;
    this.#next = options.from;
  }

  /** Resolves when the last life has ended. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.cores }, () => this.#work()));
  }

  /** No further life begins. */
  end(): void {
    this.#ended = true;
  }

  progress(): string {
    const seconds = (performance.now() - this.#began) / 1000;
    const hours = (this.#virtualMs / 3_600_000).toFixed(2);
    const rate = (this.#lives / Math.max(1, seconds)).toFixed(1);
    return `${this.#lives} lives, ${this.broken.length} broken, ${hours} h lived in ${seconds.toFixed(0)} s, ${rate} lives/s`;
  }

  record(facts: Pick<SoakRecord, "commit" | "machine">): SoakRecord {
    const { user, system } = process.cpuUsage(this.#cpu);
    return {
      run: this.#run,
      ...facts,
      from: this.#options.from,
      to: this.#next - 1,
      lives: this.#lives,
      broken: this.broken,
      virtualS: Math.round(this.#virtualMs / 1000),
      steps: this.#steps,
      wallS: Math.round((performance.now() - this.#began) / 1000),
      cpuS: Math.round((user + system) / 1e6),
      counts: this.#counts,
    };
  }

  /** One worker; it is replaced when a life has ended it. */
  async #work(): Promise<void> {
    while (this.#goesOn()) {
      const worker = new Worker(join(import.meta.dirname, "worker.ts"), { resourceLimits });
      try {
        while (this.#goesOn()) {
          const seed = this.#next;
          this.#next += 1;
          const lived = await ask(worker, seed);
          this.#take(seed, lived);
          if (lived instanceof Error) break;
        }
      } finally {
        await worker.terminate();
      }
    }
  }

  #goesOn(): boolean {
    const { from, lives, minutes, keepGoing } = this.#options;
    const inTime = performance.now() - this.#began < minutes * 60_000;
    const sound = this.broken.length < (keepGoing ? brokenMax : 1);
    return !this.#ended && inTime && sound && this.#next < from + lives;
  }

  #take(seed: number, lived: LifeReport | Error): void {
    this.#lives += 1;
    if (lived instanceof Error) return this.#break({ seed, message: `the simulator itself: ${lived.message}` });
    this.#virtualMs += lived.virtualMs;
    this.#steps += lived.steps;
    this.#counts = sumOf([this.#counts, lived.counts]);
    if (lived.violation !== null) this.#break({ seed, message: lived.violation.message });
  }

  #break(life: BrokenLife): void {
    this.broken.push(life);
    this.#options.onBroken?.(life);
  }
}

/** What came of the seed; an error when it ended the worker, or did not end. */
function ask(worker: Worker, seed: number): Promise<LifeReport | Error> {
  return new Promise((resolve) => {
    const end = (what: LifeReport | Error): void => {
      clearInterval(patience);
      worker.off("message", end).off("error", end).off("exit", exited);
      resolve(what);
    };
    const exited = (code: number): void => end(new Error(`the worker ended with code ${code}`));
    let seconds = 0;
    const patience = setInterval(() => {
      seconds += 1;
      if (seconds === lifeSeconds) end(new Error(`no end within ${lifeSeconds} s`));
    }, 1_000);
    worker.on("message", end).on("error", end).on("exit", exited);
    worker.postMessage({ seed }, []);
  });
}
