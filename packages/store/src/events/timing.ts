/** How the store waits, when nobody gives it another clock. */
import type { StoreTiming } from "../types.ts";

export const eventLoop: StoreTiming = {
  now: () => performance.now(),
  after: (ms, f) => {
    const timer = setTimeout(f, ms).unref();
    return () => clearTimeout(timer);
  },
  immediate: (f) => {
    setImmediate(f);
  },
};
