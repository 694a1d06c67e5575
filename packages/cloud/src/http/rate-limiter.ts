/**
 * A token bucket for one account, shared by everything in this process that calls the vendor with it: the vendor counts per
 * account, so limiting per provider object or per call would let them starve each other.
 */
import type { Clock } from "./clock.ts";

export interface RateLimits {
  /** How many calls may follow each other at once, and how many a second come after that. */
  readonly burst: number;
  readonly perSecond: number;
  /** More than this many waiting calls are turned away. */
  readonly waitingMax: number;
}

export interface RateLimiter {
  /** In the order asked. "full": too many wait already. Rejects with the reason of an aborted signal. */
  readonly take: (signal: AbortSignal) => Promise<"taken" | "full">;
  /** The vendor says how many are left; it knows of other processes, we do not. */
  readonly observe: (remaining: number) => void;
  /** Nobody goes before this moment (Unix milliseconds): the vendor has refused one for asking too often. */
  readonly holdUntil: (at: number) => void;
}

export function makeRateLimiter(limits: RateLimits, clock: Clock): RateLimiter {
  let tokens = limits.burst;
  let filledAt = clock.now();
  let heldUntil = 0;
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  const waitMs = (): number => {
    const now = clock.now();
    tokens = Math.min(limits.burst, tokens + (Math.max(0, now - filledAt) / 1000) * limits.perSecond);
    filledAt = now;
    if (now < heldUntil) return heldUntil - now;
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / limits.perSecond) * 1000);
  };
  const go = async (signal: AbortSignal): Promise<void> => {
    for (let ms = waitMs(); ms > 0; ms = waitMs()) await clock.sleep(ms, signal);
    signal.throwIfAborted();
    tokens -= 1;
  };
  return {
    take: async (signal) => {
      if (waiting >= limits.waitingMax) return "full";
      waiting += 1;
      const turn = last.then(() => go(signal));
      last = turn.catch(() => undefined);
      try {
        await turn;
        return "taken";
      } finally {
        waiting -= 1;
      }
    },
    observe: (remaining) => {
      waitMs();
      tokens = Math.min(tokens, remaining);
    },
    holdUntil: (at) => {
      heldUntil = Math.max(heldUntil, at);
    },
  };
}

/** One limiter for each account. `account` is a name that tells accounts apart and is no secret. */
export function makeAccountLimits(clock: Clock): (account: string, limits: RateLimits) => RateLimiter {
  const limiters = new Map<string, RateLimiter>();
  return (account, limits) => {
    const known = limiters.get(account);
    if (known !== undefined) return known;
    // A program has a handful of accounts; more than this is one account under ever new names, which would limit nothing.
    if (limiters.size >= accountsMax) throw new Error(`more than ${accountsMax} cloud accounts in one process`);
    const fresh = makeRateLimiter(limits, clock);
    limiters.set(account, fresh);
    return fresh;
  };
}

const accountsMax = 64;
