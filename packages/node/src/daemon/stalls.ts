/**
 * Notices when the event loop stood still: a timer that fires late by more than the threshold tells that nothing else
 * ran either. Heartbeats are late then too, so the reason of an election is found in the log.
 */

export interface StallWatch {
  stop(): void;
}

/**
 * Calls `onStall(ms)` after each stall longer than `thresholdMs`. `now` is monotonic, in milliseconds.
 * The timer does not keep the process alive.
 */
export function watchStalls(thresholdMs: number, now: () => number, onStall: (ms: number) => void): StallWatch {
  const periodMs = Math.max(10, Math.floor(thresholdMs / 2));
  let due = now() + periodMs;
  const timer = setInterval(() => {
    const late = now() - due;
    if (late > thresholdMs) onStall(Math.round(late));
    due = now() + periodMs;
  }, periodMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
