/**
 * The one place where a call to a vendor is repeated. It looks at the classified failure and at whether the call may happen
 * twice, and at nothing else; providers only classify.
 */
import { toMillis } from "effect/Duration";
import { CloudFailure } from "../failure.ts";
import type { CloudError } from "../provider.ts";
import type { Clock, Random } from "./clock.ts";

export interface RetryPolicy {
  readonly triesMax: number;
  /** No try begins after this. A wait that would end later is not begun. */
  readonly withinMs: number;
  readonly firstMs: number;
  readonly longestMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { triesMax: 8, withinMs: 120_000, firstMs: 500, longestMs: 20_000 };

/** May a call that failed so be made again? Nothing has happened, or it may happen twice. */
export function isRepeatable(error: CloudError, idempotent: boolean): boolean {
  switch (error._tag) {
    case "Throttled":
      return true;
    case "Transient":
      return idempotent || !error.maybeApplied;
    case "Conflict":
      return error.kind === "busy";
    case "Deadline":
    case "NotFound":
    case "Quota":
    case "Capacity":
    case "Auth":
    case "Invalid":
    case "Unsupported":
    case "Protocol":
      return false;
  }
}

/** Half of the wait is certain and half is chance, so that those who failed together do not come back together. */
export const backOffMs = (policy: RetryPolicy, tried: number, random: Random): number => {
  const whole = Math.min(policy.longestMs, policy.firstMs * 2 ** (tried - 1));
  return Math.round(whole / 2 + (random() * whole) / 2);
};

export interface Pacing {
  readonly clock: Clock;
  readonly random: Random;
  readonly policy: RetryPolicy;
}

/** Repeats `attempt` while that is allowed and worth it; fails with what it failed with last. */
export async function withRetries<A>(
  { clock, random, policy }: Pacing,
  idempotent: boolean,
  signal: AbortSignal,
  attempt: () => Promise<A>,
): Promise<A> {
  const until = clock.now() + policy.withinMs;
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt();
    } catch (failure) {
      if (!(failure instanceof CloudFailure) || !isRepeatable(failure.error, idempotent) || tried >= policy.triesMax)
        throw failure;
      const wished = failure.error._tag === "Throttled" && failure.error.retryAfter ? toMillis(failure.error.retryAfter) : 0;
      const ms = Math.max(wished, backOffMs(policy, tried, random));
      if (clock.now() + ms > until) throw failure;
      await clock.sleep(ms, signal);
    }
  }
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3) as milliseconds from now, at most an hour; null when it is neither. */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  const ms = /^\d{1,9}$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isNaN(ms) ? null : Math.min(Math.max(0, ms), 3_600_000);
}
