/**
 * Answers that append nothing to the log but still tell of its state: refusals by the rules, and "already so". They wait
 * for the entries they were decided on and for a read barrier asked after the decision, so that a leader that was
 * deposed without knowing it tells nobody of a state that is past. One barrier serves all that gathered meanwhile.
 */
import { reject } from "@aether/core/kernel/command";
import type { Rejection } from "@aether/core/kernel/command";
import type { Index, NodeId } from "@aether/raft/types";
import type { Answer, ConsensusPort } from "../types.ts";

interface Observation {
  readonly answer: Answer;
  /** Own entry in flight that it was decided on top of, 0 when none. */
  readonly after: Index;
  readonly done: (a: Answer) => void;
}

const barrierMs = 5_000;

const unconfirmed = reject(
  "no_leader",
  "this leader could not confirm in time that it still leads; the command had no effect",
  "try again",
);

export class Observations {
  private port: ConsensusPort | null = null;
  private waiting: Observation[] = [];
  private asked: Observation[] | null = null;
  /** Confirmed by a barrier, but decided on entries that are not applied yet. */
  private confirmed: Observation[] = [];
  private outbox: (() => void)[] = [];
  private readonly leader: () => NodeId;
  private readonly applied: () => Index;

  constructor(leader: () => NodeId, applied: () => Index) {
    this.leader = leader;
    this.applied = applied;
  }

  attach(port: ConsensusPort): void {
    this.port = port;
  }

  get callers(): number {
    return this.waiting.length + (this.asked?.length ?? 0) + this.confirmed.length;
  }

  add(answer: Answer, after: Index, done: (a: Answer) => void): void {
    this.waiting.push({ answer, after, done });
    this.ask();
  }

  /** Runs the callbacks of what is confirmed and whose entries are applied, and of what has failed. */
  settle(): void {
    const applied = this.applied();
    if (this.confirmed.length > 0) {
      const ready = this.confirmed.filter((o) => o.after <= applied);
      this.confirmed = this.confirmed.filter((o) => o.after > applied);
      for (const o of ready) this.outbox.push(() => o.done(o.answer));
    }
    const told = this.outbox;
    this.outbox = [];
    for (const tell of told) tell();
  }

  /** Leadership is gone, and with it what the decisions were based on. The callers are told by the next {@link settle}. */
  fail(rejection: Rejection): void {
    const failed = [...(this.asked ?? []), ...this.confirmed, ...this.waiting];
    // the barrier under way will find that nobody waits for it any more
    if (this.asked !== null) this.asked = [];
    this.confirmed = [];
    this.waiting = [];
    this.refuse(failed, rejection);
  }

  private refuse(failed: readonly Observation[], rejection: Rejection): void {
    const answer: Answer = { ok: false, rejection, leader: this.leader() };
    for (const o of failed) this.outbox.push(() => o.done(answer));
  }

  private ask(): void {
    if (this.asked !== null || this.waiting.length === 0 || this.port === null) return;
    this.asked = this.waiting;
    this.waiting = [];
    void this.confirm(this.port);
  }

  private async confirm(port: ConsensusPort): Promise<void> {
    const confirmed = await port.readBarrier(barrierMs).then(
      () => true,
      () => false,
    );
    const asked = this.takeAsked();
    if (confirmed) this.confirmed.push(...asked);
    else this.refuse(asked, unconfirmed);
    this.ask();
    this.settle();
  }

  private takeAsked(): Observation[] {
    const asked = this.asked ?? [];
    this.asked = null;
    return asked;
  }
}
