import type { Clock } from "../types.ts";

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export interface ManualClock extends Clock {
  /** Runs what is due within the next `ms`, in order of time, letting promises settle in between. */
  advance(ms: number): Promise<void>;
  /** Moves the time without running anything, as a stopped process sees it. */
  skip(ms: number): void;
  /** Timers and immediates not yet run or cancelled. */
  waiting(): number;
}

/** Rounds of promises and immediates after which `advance` gives up: something is spinning. */
const maxRounds = 100_000;

/** A clock whose time passes only when told, for tests that want one order of events and no waiting. */
export function makeManualClock(start = 1000): ManualClock {
  let now = start;
  let order = 0;
  let timers: Timer[] = [];
  let immediates: (() => void)[] = [];

  const drain = async (): Promise<void> => {
    for (let round = 0; round < maxRounds; round += 1) {
      await settle();
      if (immediates.length === 0) return;
      const due = immediates;
      immediates = [];
      for (const run of due) run();
    }
    throw new Error("the manual clock never comes to rest");
  };

  return {
    now: () => now,
    after(ms, run) {
      const timer = { at: now + ms, order: (order += 1), run };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    immediate(run) {
      immediates.push(run);
    },
    async advance(ms) {
      const until = now + ms;
      await drain();
      for (;;) {
        const next = timers.filter((timer) => timer.at <= until).toSorted((a, b) => a.at - b.at || a.order - b.order)[0];
        if (next === undefined) break;
        timers = timers.filter((other) => other !== next);
        now = Math.max(now, next.at);
        next.run();
        await drain();
      }
      now = Math.max(now, until);
    },
    skip(ms) {
      now += ms;
    },
    waiting: () => timers.length + immediates.length,
  };
}

/** Promises settle on the real event loop; two turns of it let a chain of awaits and one real setImmediate through. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 2; turn += 1) await new Promise<void>((done) => setImmediate(done));
}
