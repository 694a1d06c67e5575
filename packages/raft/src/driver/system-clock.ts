import type { Clock } from "../types.ts";

/** The process's own clock: monotonic milliseconds, timers, and the event loop's check phase. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, f) {
    const timer = setTimeout(f, ms);
    return () => clearTimeout(timer);
  },
  immediate(f) {
    setImmediate(f);
  },
};
