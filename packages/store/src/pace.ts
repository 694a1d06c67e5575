/**
 * Long work that nobody waits for, on a machine where somebody waits for something else. After each step it rests as long as the step
 * took: it takes half of a core and of a disk at most, and less when these are busy, for its steps take longer then.
 */

export interface Pace {
  /** Between two steps of the work. A step is a fraction of a second; no rest is longer than {@link restMaxMs}. */
  rest(): Promise<void>;
}

/** A process that was stopped for a minute, or a disk that was, is no reason to rest for one. */
export const restMaxMs = 250;

/** `now`: milliseconds that do not go back. `after` runs `f` once, `ms` later. */
export function makePace(now: () => number, after: (ms: number, f: () => void) => void): Pace {
  let began = now();
  return {
    rest: async () => {
      const ms = Math.min(now() - began, restMaxMs);
      await new Promise<void>((resolve) => after(ms, resolve));
      began = now();
    },
  };
}

/** By the process's own clock. */
export const ownPace = (): Pace => makePace(() => performance.now(), setTimeoutOf);

/** A rest of which others used this share is one that they need whole. */
const needed = 0.25;
/** So that it can be seen whether anybody does. */
const restMinMs = 1;

/**
 * As {@link makePace}, but a rest is as long only as others made use of the one before it: where nobody else has anything to do, it is over
 * in a millisecond. `used`: the share of the time since it was asked last in which this process was at work, 0 to 1.
 */
export function makeSharingPace(now: () => number, after: (ms: number, f: () => void) => void, used: () => number): Pace {
  let began = now();
  let share = 1;
  return {
    rest: async () => {
      const ms = Math.min(now() - began, restMaxMs) * share;
      used();
      await new Promise<void>((resolve) => after(Math.max(ms, restMinMs), resolve));
      share = Math.min(1, used() / needed);
      began = now();
    },
  };
}

/** By the process's own clock, and by what its event loop did meanwhile. */
export function sharingPace(): Pace {
  let last = performance.eventLoopUtilization();
  const used = (): number => {
    const before = last;
    last = performance.eventLoopUtilization();
    return performance.eventLoopUtilization(last, before).utilization;
  };
  return makeSharingPace(() => performance.now(), setTimeoutOf, used);
}

const setTimeoutOf = (ms: number, f: () => void): void => void setTimeout(f, ms);

/** For work that somebody waits for. */
export const noPace: Pace = { rest: () => Promise.resolve() };
