/**
 * A value that is fetched, serves many, and ends: an access token, the credentials of a role. Whoever asks gets the one that is
 * there; one fetch at a time serves all that ask meanwhile.
 */
import type { Clock } from "./clock.ts";

export interface Fetched<A> {
  readonly value: A;
  /** Unix milliseconds by our own clock. */
  readonly expiresAt: number;
}

export interface Expiring<A> {
  /** Rejects with what `fetch` rejected with, or with the reason of the aborted signal. */
  readonly get: (signal: AbortSignal) => Promise<A>;
  /** Those that were given last, the newest first: two at most, for a call in flight may still carry the one before. */
  readonly recent: () => readonly A[];
  /** It was refused: the next `get` fetches. Of a value that has been replaced already this changes nothing. */
  readonly drop: (value: A) => void;
}

export interface ExpiringOptions<A> {
  /** Its signal is aborted when nobody waits any more. */
  readonly fetch: (signal: AbortSignal) => Promise<Fetched<A>>;
  readonly clock: Clock;
  /** So long before its end it is replaced; never before half of its life is over, or a short-lived one would serve nobody. */
  readonly earlyMs?: number;
  /** So long a failure answers all who ask, so that a crowd does not become a crowd of requests. */
  readonly failureMs?: number;
}

interface Held<A> extends Fetched<A> {
  readonly refreshAt: number;
}

interface Flight<A> {
  readonly done: Promise<A>;
  readonly stop: AbortController;
  waiting: number;
}

/** Within its last `earlyMs` a value still serves when there is no newer one to be had. */
export function makeExpiring<A>(options: ExpiringOptions<A>): Expiring<A> {
  const { clock, earlyMs = 300_000, failureMs = 1_000 } = options;
  let held: Held<A> | null = null;
  let before: A | null = null;
  let failed: { readonly reason: unknown; readonly until: number } | null = null;

  const fetch = async (signal: AbortSignal): Promise<A> => {
    try {
      const fetched = await options.fetch(signal);
      const early = Math.min(earlyMs, Math.max(0, fetched.expiresAt - clock.now()) / 2);
      if (held !== null) before = held.value;
      held = { ...fetched, refreshAt: fetched.expiresAt - early };
      failed = null;
      return fetched.value;
    } catch (reason) {
      // One that was called off says nothing about the next.
      if (!signal.aborted) failed = { reason, until: clock.now() + failureMs };
      throw reason;
    }
  };
  const join = singleFlight(fetch);
  return {
    get: async (signal) => {
      signal.throwIfAborted();
      const current = held;
      const now = clock.now();
      if (current !== null && now < current.refreshAt) return current.value;
      const isUsable = current !== null && now < current.expiresAt;
      if (failed !== null && now < failed.until) {
        if (isUsable) return current.value;
        throw failed.reason;
      }
      try {
        return await join(signal);
      } catch (reason) {
        signal.throwIfAborted();
        if (isUsable && held === current && clock.now() < current.expiresAt) return current.value;
        throw reason;
      }
    },
    recent: () => [...(held === null ? [] : [held.value]), ...(before === null ? [] : [before])],
    drop: (value) => {
      if (held?.value !== value) return;
      before = value;
      held = null;
    },
  };
}

/** One run of `work` at a time, for all who ask while it runs; it is called off when the last of them has left. */
function singleFlight<A>(work: (signal: AbortSignal) => Promise<A>): (signal: AbortSignal) => Promise<A> {
  let flight: Flight<A> | null = null;
  return async (signal) => {
    if (flight === null) {
      const stop = new AbortController();
      flight = { done: work(stop.signal), stop, waiting: 0 };
    }
    const mine = flight;
    mine.waiting += 1;
    try {
      return await orAborted(mine.done, signal);
    } finally {
      mine.waiting -= 1;
      if (flight === mine && (mine.waiting === 0 || !signal.aborted)) flight = null;
      // Of one that is over already this changes nothing.
      if (mine.waiting === 0) mine.stop.abort(new Error("nobody waits for it any more"));
    }
  };
}

const orAborted = <A>(work: Promise<A>, signal: AbortSignal): Promise<A> =>
  new Promise((resolve, reject) => {
    const leave = (): void => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    const free = (): void => signal.removeEventListener("abort", leave);
    work.then(
      (value) => {
        free();
        resolve(value);
      },
      (reason: unknown) => {
        free();
        reject(reason);
      },
    );
  });
