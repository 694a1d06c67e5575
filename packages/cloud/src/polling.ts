/** Waiting for something that a vendor changes in its own time. */
import type { Clock } from "./http/clock.ts";

/** Looks until there is something other than null, at least once; null when there was nothing in time. */
export async function pollUntil<A>(
  clock: Clock,
  { everyMs, withinMs }: { readonly everyMs: number; readonly withinMs: number },
  signal: AbortSignal,
  look: () => Promise<A | null>,
): Promise<A | null> {
  const until = clock.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    const left = until - clock.now();
    if (left <= 0) return null;
    await clock.sleep(Math.min(everyMs, left), signal);
  }
}
