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

const setTimeoutOf = (ms: number, f: () => void): void => void setTimeout(f, ms);

/** For work that somebody waits for. */
export const noPace: Pace = { rest: () => Promise.resolve() };
