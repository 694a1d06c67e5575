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
import { packAnswers, readAnswers } from "./answer-pack.ts";
import { AnswerTable, Client } from "./answer-table.ts";
import type { RequestText } from "./answer-table.ts";

export interface SessionLimits {
  readonly perClient: number;
  readonly clients: number;
  readonly window: number;
}

/** Constants, not options: members that forgot differently would answer differently. */
export const sessionLimits: SessionLimits = { perClient: 4_096, clients: 10_000, window: 131_072 };

/** A remembered answer as the leader gives it again. `seq` counts remembered answers from 1; `index` is where the request committed. */
export interface Remembered {
  readonly seq: number;
  readonly fingerprint: string;
  readonly index: number;
  readonly version: number;
  readonly answer: unknown;
}

/** An answer to remember, with the request's texts as they lie in its entry or pack. */
export interface NewAnswer extends RequestText {
  readonly client: string;
  readonly version: number;
  readonly answer: unknown;
}

/** What is remembered of a run of seqs from `first` on, as one value for the disk. */
export interface AnswerPack {
  readonly first: number;
  readonly bytes: Buffer;
}

/** Seqs in one pack, so that no value on disk grows with the load. */
const packAnswersMax = 1_024;

export class Sessions {
  private readonly clients = new Map<string, Client>();
  /** The client that has been silent longest, and the one that answered last. */
  private silent: Client | null = null;
  private latest: Client | null = null;
  private readonly table = new AnswerTable();
  private readonly limits: SessionLimits;
  /** The last seq that is in a pack, and the packs that nobody took yet. */
  private taken = 0;
  private ahead: AnswerPack[] = [];
  seq = 0;
  size = 0;
  private sumA = 0;
  private sumB = 0;

  constructor(limits: SessionLimits) {
    this.limits = limits;
  }

  find(client: string, id: string): Remembered | undefined {
    const known = this.clients.get(client);
    if (known === undefined) return undefined;
    const bytes = Buffer.from(id);
    const slot = this.table.find(known, bytes, 0, bytes.length);
    if (slot < 0) return undefined;
    return {
      seq: this.table.seqOf(slot),
      fingerprint: this.table.fingerprintOf(slot).toString(),
      index: this.table.indexOf(slot),
      version: this.table.versionOf(slot),
      answer: this.table.extraOf(slot),
    };
  }

  /** Remembers the answer given at entry `index` and forgets what no longer fits. A request that is still remembered must not come again. */
  remember(a: NewAnswer, index: number): void {
    this.add(this.seq + 1, index, a);
  }

  /** Puts back the answers of a pack read from disk or a snapshot; packs come in the order of their seqs, gaps allowed. */
  restore(first: number, bytes: Uint8Array): void {
    readAnswers(first, bytes, (seq, index, answer) => {
      invariant(seq > this.seq, "remembered answers are restored in order");
      this.skipTo(seq - 1);
      this.add(seq, index, answer);
      this.taken = seq;
    });
  }

  /** Moves the window on to `seq`, as if answers up to it had been remembered and forgotten since. */
  skipTo(seq: number): void {
    if (seq - this.seq >= this.limits.window) {
      while (this.silent !== null) this.forgetOldest(this.silent);
      this.table.clear();
      this.seq = seq;
    }
    while (this.seq < seq) this.evict(++this.seq);
    this.table.dropTexts(this.floor);
    this.taken = this.seq;
  }

  /**
   * Answers since the last call, for the disk, in packs of bounded size. Those forgotten meanwhile are among them as long as they
   * are in the window: which clients answered last shows only from all of them.
   */
  takeFresh(): readonly AnswerPack[] {
    while (this.taken < this.seq) this.pack();
    const packs = this.ahead;
    this.ahead = [];
    return packs;
  }

  /** Makes one pack of what {@link takeFresh} would give, if there is a whole one up to `seq`; false when there is none. */
  packAhead(seq: number): boolean {
    if (seq - this.taken < packAnswersMax) return false;
    this.pack();
    return true;
  }

  private pack(): void {
    const first = Math.max(this.taken, this.floor) + 1;
    const last = Math.min(this.seq, first + packAnswersMax - 1);
    const bytes = packAnswers(this.table, first, last);
    this.taken = last;
    if (bytes.length > 0) this.ahead.push({ first, bytes });
  }

  /** Answers at or below this seq are forgotten for good. */
  get floor(): number {
    return Math.max(0, this.seq - this.limits.window);
  }

  /** Short text, equal for equal memories whatever the order they were built in. */
  digest(): string {
    return `${this.seq}.${this.size}.${this.sumA}.${this.sumB}`;
  }

  private add(seq: number, index: number, a: NewAnswer): void {
    this.seq = seq;
    this.evict(seq);
    const known = this.clients.get(a.client);
    const twice = known !== undefined && this.table.find(known, a.bytes, a.idAt, a.idEnd) >= 0;
    invariant(!twice, "a remembered request is answered from memory, not applied again");
    const client = known ?? this.admitClient(a.client);
    const slot = this.table.add(seq, client, a, index, a.version, a.answer);
    if (client.held > this.limits.perClient) this.forgetOldest(client);
    this.moveLast(client);
    this.size++;
    this.count(slot, 1);
  }

  private admitClient(name: string): Client {
    if (this.clients.size >= this.limits.clients) {
      const gone = this.silent;
      invariant(gone !== null, "one of many clients has been silent longest");
      while (gone.held > 0) this.forgetOldest(gone);
    }
    const client = new Client(name);
    this.clients.set(name, client);
    return client;
  }

  /** Forgets what leaves the window as `seq` enters it. */
  private evict(seq: number): void {
    const old = seq - this.limits.window;
    if (old <= 0) return;
    const slot = this.table.slotOf(old);
    if (slot < 0) return;
    if (!this.table.forgotten(slot)) this.forgetOldest(this.table.ownerOf(slot));
    this.table.release(slot);
    this.table.dropTexts(old);
  }

  private forgetOldest(client: Client): void {
    this.size--;
    this.count(client.oldest, -1);
    this.table.removeOldest(client);
    if (client.held > 0) return;
    this.unlink(client);
    this.clients.delete(client.name);
  }

  private moveLast(client: Client): void {
    if (this.latest === client) return;
    this.unlink(client);
    client.before = this.latest;
    if (this.latest === null) this.silent = client;
    else this.latest.after = client;
    this.latest = client;
  }

  /** Takes a client out of the order of latest answers, if it is in it. */
  private unlink(client: Client): void {
    if (client.before !== null) client.before.after = client.after;
    else if (this.silent === client) this.silent = client.after;
    if (client.after !== null) client.after.before = client.before;
    else if (this.latest === client) this.latest = client.before;
    client.before = null;
    client.after = null;
  }

  private count(slot: number, sign: 1 | -1): void {
    this.sumA = (this.sumA + sign * this.table.hashA(slot) + 2 ** 32) % 2 ** 32;
    this.sumB = (this.sumB + sign * this.table.hashB(slot) + 2 ** 32) % 2 ** 32;
  }
}
