import { ReadFailed } from "../errors.ts";
import type { Clock, Index, Outcome } from "../types.ts";

/** An unanswered question is asked again, under a new key, after this long: the answer may be lost. */
const retryMs = 500;
/** Keys of one round that are still listened to; an older answer is as good as a newer one. */
const maxKeysPerRound = 8;
/** Callers that may wait at once. */
const maxWaiting = 65_536;

interface Waiter {
  readonly deadline: number;
  readonly resolve: (index: Index) => void;
  readonly reject: (e: ReadFailed) => void;
}

/** Callers that share one ReadIndex question. `index` is known once a quorum has confirmed the leader. */
interface Round {
  waiters: Waiter[];
  keys: number[];
  askedAt: number;
  index: Index | null;
}

/**
 * Linearizable read points. All callers of a turn share one question to the core; each is answered when the state
 * machine has applied the index that the question yields. Rounds that fail with their leader are asked anew for as long
 * as their callers' deadlines last.
 */
export class ReadBarriers {
  readonly #clock: Clock;
  readonly #ask: (key: number) => Outcome | undefined;
  #fresh: Waiter[] = [];
  /** Refused or failed; asked again at `#parkedUntil`, or as soon as a leader is known. */
  #parked: Waiter[] = [];
  #parkedUntil = 0;
  #parkedWhy: ReadFailed["why"] = "noLeader";
  #rounds = new Set<Round>();
  readonly #byKey = new Map<number, Round>();
  #lastKey: number;
  #waiting = 0;
  #stopped = false;

  /**
   * `ask` steps a read; a refusal comes back, acceptance is undefined. `firstKey` differs from one start of the member to
   * the next, or an answer that was asked for before a restart could be taken for a new one's.
   */
  constructor(clock: Clock, firstKey: number, ask: (key: number) => Outcome | undefined) {
    this.#clock = clock;
    this.#lastKey = firstKey;
    this.#ask = ask;
  }

  /** Whether `flush` has something to ask. */
  get asks(): boolean {
    return this.#fresh.length > 0;
  }

  wait(deadlineMs: number): Promise<Index> {
    if (this.#stopped) return Promise.reject(new ReadFailed("stopped"));
    if (this.#waiting >= maxWaiting) return Promise.reject(new ReadFailed("readQuota"));
    this.#waiting += 1;
    const deadline = this.#clock.now() + deadlineMs;
    return new Promise((resolve, reject) => this.#fresh.push({ deadline, resolve, reject }));
  }

  /** One question for all callers since the last turn. */
  flush(): void {
    if (this.#fresh.length === 0) return;
    const round: Round = { waiters: this.#fresh, keys: [], askedAt: 0, index: null };
    this.#fresh = [];
    this.#rounds.add(round);
    this.#put(round);
  }

  answered(key: number, index: Index, applied: Index): void {
    const round = this.#byKey.get(key);
    if (round === undefined) return;
    this.#forgetKeys(round);
    round.index = index;
    if (index <= applied) this.#resolve(round, index);
  }

  /** The leader that was asked is no longer one, or the term moved on. */
  failed(key: number): void {
    const round = this.#byKey.get(key);
    if (round !== undefined) this.#park(round, "roleChanged");
  }

  appliedTo(applied: Index): void {
    for (const round of this.#rounds) {
      if (round.index !== null && round.index <= applied) this.#resolve(round, round.index);
    }
  }

  /** A leader is known (again): who was parked may ask at once. */
  leaderKnown(): void {
    this.#fresh = this.#fresh.concat(this.#parked);
    this.#parked = [];
  }

  /** Once a tick: retries and deadlines, so that no read needs a timer of its own. */
  tick(): void {
    const now = this.#clock.now();
    if (this.#parked.length > 0 && now >= this.#parkedUntil) this.leaderKnown();
    this.#fresh = this.#expire(this.#fresh, now, this.#parkedWhy);
    this.#parked = this.#expire(this.#parked, now, this.#parkedWhy);
    for (const round of this.#rounds) {
      round.waiters = this.#expire(round.waiters, now, "deadline");
      if (round.waiters.length === 0) {
        this.#forgetKeys(round);
        this.#rounds.delete(round);
      } else if (round.index === null && now - round.askedAt >= retryMs) this.#put(round);
    }
  }

  stop(): void {
    this.#stopped = true;
    for (const waiters of [this.#fresh, this.#parked, ...[...this.#rounds].map((round) => round.waiters)]) {
      for (const waiter of waiters) waiter.reject(new ReadFailed("stopped"));
    }
    this.#fresh = [];
    this.#parked = [];
    this.#rounds.clear();
    this.#byKey.clear();
  }

  #put(round: Round): void {
    const key = (this.#lastKey += 1);
    const outcome = this.#ask(key);
    if (outcome?.ok === false) {
      this.#park(round, outcome.why === "readQuota" ? "readQuota" : "noLeader");
      return;
    }
    round.askedAt = this.#clock.now();
    round.keys.push(key);
    this.#byKey.set(key, round);
    if (round.keys.length > maxKeysPerRound) this.#byKey.delete(round.keys.shift() ?? 0);
  }

  #park(round: Round, why: ReadFailed["why"]): void {
    this.#forgetKeys(round);
    this.#rounds.delete(round);
    if (this.#parked.length === 0) this.#parkedUntil = this.#clock.now() + retryMs;
    this.#parkedWhy = why;
    this.#parked = this.#parked.concat(round.waiters);
  }

  #resolve(round: Round, index: Index): void {
    this.#rounds.delete(round);
    this.#waiting -= round.waiters.length;
    for (const waiter of round.waiters) waiter.resolve(index);
  }

  #forgetKeys(round: Round): void {
    for (const key of round.keys) this.#byKey.delete(key);
    round.keys = [];
  }

  #expire(waiters: Waiter[], now: number, why: ReadFailed["why"]): Waiter[] {
    if (!waiters.some((waiter) => waiter.deadline <= now)) return waiters;
    return waiters.filter((waiter) => {
      if (waiter.deadline > now) return true;
      this.#waiting -= 1;
      waiter.reject(new ReadFailed(why));
      return false;
    });
  }
}
