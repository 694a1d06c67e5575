/**
 * Which requests were already answered, and how: the memory behind exactly-once. It is part of the replicated state, so
 * what is forgotten, and when, must come out the same on every member and after every restart.
 *
 * Three limits, and each looks only at the newest answers: a client's newest `perClient`, the `clients` that answered
 * last, and the newest `window` answers of all. That is why reading back any suffix of the answers that holds the last
 * `window` of them gives the same memory as having lived through all of them, and why the disk needs no deletions but
 * of what fell out of the window.
 */
import { invariant } from "@aether/raft/errors";

export interface SessionLimits {
  readonly perClient: number;
  readonly clients: number;
  readonly window: number;
}

/** Constants, not options: members that forgot differently would answer differently. */
export const sessionLimits: SessionLimits = { perClient: 4_096, clients: 10_000, window: 131_072 };

/** `seq` counts remembered answers from 1; `index` is where the request's entry committed. */
export interface Remembered {
  readonly seq: number;
  readonly client: string;
  readonly id: string;
  readonly fingerprint: string;
  readonly index: number;
  readonly version: number;
  readonly answer: unknown;
}

/** A remembered answer with its share in the digest, worked out once. */
interface Held extends Remembered {
  readonly hashA: number;
  readonly hashB: number;
}

export class Sessions {
  /** Clients in the order of their latest answer; each one's answers in the order they were given. */
  private readonly clients = new Map<string, Map<string, Held>>();
  /** The client that answered last; it stands last in {@link clients} already. */
  private latest = "";
  private readonly ring: (Held | undefined)[] = [];
  private readonly limits: SessionLimits;
  private fresh: Remembered[] = [];
  seq = 0;
  size = 0;
  private sumA = 0;
  private sumB = 0;

  constructor(limits: SessionLimits) {
    this.limits = limits;
  }

  find(client: string, id: string): Remembered | undefined {
    return this.clients.get(client)?.get(id);
  }

  /** Remembers a new answer and forgets what no longer fits. A request that is still remembered must not come again. */
  remember(a: Omit<Remembered, "seq">): void {
    const remembered = { ...a, seq: this.seq + 1 };
    this.add(remembered);
    this.fresh.push(remembered);
  }

  /** Puts back an answer read from disk or a snapshot; answers come in the order of their seq, gaps allowed. */
  restore(remembered: Remembered): void {
    invariant(remembered.seq > this.seq, "remembered answers are restored in order");
    this.skipTo(remembered.seq - 1);
    this.add(remembered);
  }

  /** Moves the window on to `seq`, as if answers up to it had been remembered and forgotten since. */
  skipTo(seq: number): void {
    if (seq - this.seq >= this.limits.window) {
      for (const old of this.ring) if (old !== undefined) this.forget(old);
      this.seq = seq;
      return;
    }
    while (this.seq < seq) this.evict(++this.seq);
  }

  /** Answers since the last call, for the disk. */
  takeFresh(): readonly Remembered[] {
    const taken = this.fresh;
    this.fresh = [];
    return taken;
  }

  /** Answers at or below this seq are forgotten for good. */
  get floor(): number {
    return Math.max(0, this.seq - this.limits.window);
  }

  /** Short text, equal for equal memories whatever the order they were built in. */
  digest(): string {
    return `${this.seq}.${this.size}.${this.sumA}.${this.sumB}`;
  }

  private add(remembered: Remembered): void {
    this.seq = remembered.seq;
    this.evict(remembered.seq);
    const held = this.clients.get(remembered.client);
    invariant(held?.has(remembered.id) !== true, "a remembered request is answered from memory, not applied again");
    if (held !== undefined && held.size >= this.limits.perClient) this.forget(first(held.values()));
    const answers = held ?? this.admitClient();
    const kept = hashed(remembered);
    answers.set(kept.id, kept);
    if (this.latest !== kept.client || held === undefined) {
      // deleted and set again: a Map keeps the order of insertion, which thereby is the order of the latest answer
      this.clients.delete(kept.client);
      this.clients.set(kept.client, answers);
      this.latest = kept.client;
    }
    this.ring[kept.seq % this.limits.window] = kept;
    this.size++;
    this.count(kept, 1);
  }

  private admitClient(): Map<string, Held> {
    if (this.clients.size >= this.limits.clients) {
      for (const old of first(this.clients.values()).values()) this.forget(old);
    }
    return new Map();
  }

  /** Empties the place in the window that `seq` takes. */
  private evict(seq: number): void {
    const old = this.ring[seq % this.limits.window];
    if (old !== undefined) this.forget(old);
  }

  private forget(old: Held): void {
    const answers = this.clients.get(old.client);
    answers?.delete(old.id);
    if (answers?.size === 0) this.clients.delete(old.client);
    this.ring[old.seq % this.limits.window] = undefined;
    this.size--;
    this.count(old, -1);
  }

  private count(held: Held, sign: 1 | -1): void {
    this.sumA = (this.sumA + sign * held.hashA + 2 ** 32) % 2 ** 32;
    this.sumB = (this.sumB + sign * held.hashB + 2 ** 32) % 2 ** 32;
  }
}

function first<T>(values: Iterator<T>): T {
  const step = values.next();
  invariant(step.done !== true, "a full table has a first element");
  return step.value;
}

const fnvPrime = 0x01000193;
const offsetA = 0x811c9dc5;
const offsetB = 0x2f0b4c47;

/** Hashes every field but the answer, part by part: putting them into one text first would cost more than hashing it. */
function hashed(r: Remembered): Held {
  const { seq, client, id, fingerprint, index, version, answer } = r;
  let hashA = textHash(fingerprint, textHash(id, textHash(client, offsetA)));
  let hashB = textHash(fingerprint, textHash(id, textHash(client, offsetB)));
  for (const number of [seq, index, version]) {
    hashA = numberHash(number, hashA);
    hashB = numberHash(number, hashB);
  }
  return {
    seq,
    client,
    id,
    fingerprint,
    index,
    version,
    answer,
    hashA: hashA >>> 0,
    hashB: hashB >>> 0,
  };
}

/** FNV-1a over UTF-16 units and the length, 32 bits: guards against members drifting apart, not against an adversary (the chain does). */
function textHash(text: string, seed: number): number {
  let h = Math.imul(seed ^ text.length, fnvPrime);
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), fnvPrime);
  return h;
}

/** The same over the two 32-bit halves of a safe integer. */
const numberHash = (value: number, seed: number): number =>
  Math.imul(Math.imul(seed ^ (value % 2 ** 32), fnvPrime) ^ (value / 2 ** 32), fnvPrime);
