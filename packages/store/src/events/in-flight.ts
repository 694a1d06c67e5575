/** Own entries on their way to commit, and who waits for them. Every caller is told exactly once. */
import { reject } from "@aether/core/kernel/command";
import type { DomainEvent, RequestId } from "@aether/core/kernel/event";
import { invariant } from "@aether/raft/errors";
import type { Index, NodeId, Term } from "@aether/raft/types";
import type { Answer } from "../types.ts";

export interface Pending {
  readonly index: Index;
  readonly term: Term;
  readonly noun: string;
  readonly id: string;
  readonly version: number;
  readonly fingerprint: string;
  readonly request: RequestId | null;
  readonly events: readonly DomainEvent[];
  readonly answer: unknown;
  /** The first submission's callback, then those of its retries. */
  readonly callers: ((a: Answer) => void)[];
  /** False once the leadership it was decided under is gone. */
  current: boolean;
}

const ambiguous = reject(
  "ambiguous",
  "leadership moved while the command was on its way; it may or may not take effect",
  "retry with the same request id: it will not run twice",
);
const overwritten = reject(
  "no_leader",
  "leadership moved and the command was not committed; it had no effect",
  "ask the new leader",
);

export class InFlight {
  /** Ascending by index; `head` is the first not yet taken. */
  private queue: Pending[] = [];
  private head = 0;
  private readonly orphans = new Map<Index, Pending>();
  private readonly requests = new Map<string, Pending>();
  private outbox: (() => void)[] = [];
  private readonly leader: () => NodeId;
  callers = 0;

  constructor(leader: () => NodeId) {
    this.leader = leader;
  }

  /** Index of the newest own entry in flight, 0 when there is none. */
  get lastIndex(): Index {
    return this.head < this.queue.length ? (this.queue[this.queue.length - 1] as Pending).index : 0;
  }

  find(r: RequestId): Pending | undefined {
    return this.requests.get(requestKey(r));
  }

  add(p: Pending): void {
    invariant(p.index > this.lastIndex, "own entries get ascending indexes");
    this.queue.push(p);
    this.callers += p.callers.length;
    if (p.request !== null) this.requests.set(requestKey(p.request), p);
  }

  /** A retry that came while the first submission is in flight. */
  join(p: Pending, done: (a: Answer) => void): void {
    p.callers.push(done);
    this.callers++;
  }

  /** Entry (index, term) is applied: settles who waits for it, and who waited for another entry in its place. */
  take(index: Index, term: Term): Pending | null {
    const orphan = this.orphans.get(index);
    if (orphan !== undefined) {
      this.orphans.delete(index);
      if (orphan.term !== term) this.finish(orphan, { ok: false, rejection: overwritten, leader: this.leader() });
      else {
        this.committed(orphan);
        return orphan;
      }
    }
    const next = this.queue[this.head];
    if (next === undefined || next.index > index) return null;
    invariant(next.index === index && next.term === term, "a leader's own entries are applied as it proposed them");
    this.head++;
    if (this.head > 1_024 && this.head * 2 > this.queue.length) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    this.committed(next);
    return next;
  }

  /** Leadership is gone: nothing new will be appended after these, and others may overwrite them. */
  orphan(): void {
    for (const p of this.queue.slice(this.head)) {
      p.current = false;
      const older = this.orphans.get(p.index);
      if (older !== undefined) this.giveUp(older);
      this.orphans.set(p.index, p);
    }
    this.queue = [];
    this.head = 0;
  }

  /** True when an entry that still counts on this leadership is among the run. */
  holds(first: Index, last: Index, term: Term): boolean {
    return this.queue.slice(this.head).some((p) => p.term === term && p.index >= first && p.index <= last);
  }

  /** Orphans of the run left the log. */
  drop(first: Index, last: Index, term: Term): void {
    for (const p of this.orphans.values()) {
      if (p.term === term && p.index >= first && p.index <= last) this.giveUp(p);
    }
  }

  /** No orphan waits any longer. */
  dropAll(): void {
    for (const p of this.orphans.values()) this.giveUp(p);
  }

  /** Runs the callbacks of all that was settled since. They may submit again. */
  tell(): void {
    while (this.outbox.length > 0) {
      const told = this.outbox;
      this.outbox = [];
      for (const tell of told) tell();
    }
  }

  private giveUp(p: Pending): void {
    this.orphans.delete(p.index);
    this.finish(p, { ok: false, rejection: ambiguous, leader: this.leader() });
  }

  private committed(p: Pending): void {
    const answer = p.answer === undefined ? {} : { answer: p.answer };
    this.finish(p, { ok: true, index: p.index, version: p.version, changed: true, replayed: false, ...answer });
  }

  private finish(p: Pending, answer: Answer): void {
    if (p.request !== null) this.requests.delete(requestKey(p.request));
    this.callers -= p.callers.length;
    this.outbox.push(() => {
      for (const [i, done] of p.callers.entries()) done(answer.ok && i > 0 ? { ...answer, replayed: true } : answer);
    });
  }
}

const requestKey = (r: RequestId): string => `${r.client}\0${r.id}`;
