import { becomeFollower } from "../core/roles.ts";
import { collect, hasNews } from "../core/ready.ts";
import { RaftState } from "../core/state.ts";
import { step } from "../core/step.ts";
import { makeMemoryLog, type MemoryLog } from "../memory-log.ts";
import type {
  CoreOptions,
  Entry,
  EntryId,
  Envelope,
  Index,
  Input,
  Limits,
  Membership,
  Msg,
  NodeId,
  Outcome,
  Ready,
  SnapMeta,
  Term,
} from "../types.ts";
import { entriesOf } from "./suite.ts";

export const unlimited: Limits = {
  maxMsgBytes: Infinity,
  maxRoundBytes: Infinity,
  maxInflightMsgs: Infinity,
  maxInflightBytes: Infinity,
  maxUncommittedBytes: Infinity,
  maxApplyBytes: Infinity,
  maxPendingReads: 1000,
  maxEntryBytes: Infinity,
  maxMembers: 9,
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** How a case's member begins. Everything left out is empty or off, as in the plain protocol of the paper. */
export interface LoneSetup {
  readonly id?: NodeId;
  readonly voters?: readonly NodeId[];
  readonly outgoing?: readonly NodeId[];
  readonly learners?: readonly NodeId[];
  /** The entry before the log's first, for a log that begins with a snapshot. */
  readonly base?: EntryId;
  readonly terms?: readonly Term[];
  readonly term?: Term;
  readonly vote?: NodeId;
  readonly commit?: Index;
  readonly options?: Partial<CoreOptions>;
}

/** One member without peers: a core's state, a log in memory, and what it said. Writes are done when asked for. */
export class Lone {
  readonly options: Mutable<CoreOptions>;
  readonly log: MemoryLog;
  readonly r: RaftState;
  readonly sent: Envelope[] = [];
  readonly toApply: Entry[] = [];
  readonly written: Entry[] = [];
  readonly reads: { key: number; index: Index }[] = [];
  /** What this member sends to one that needs a snapshot. */
  snapshot: SnapMeta | null = null;

  constructor(setup: LoneSetup = {}) {
    const { id = 1, voters = [1, 2, 3], base = { term: 0, index: 0 }, terms = [], term = 0, vote = 0 } = setup;
    const membership = membershipOf(voters, setup.outgoing, setup.learners);
    const commit = Math.max(setup.commit ?? 0, base.index);
    const snap = { id: base, membership, digest: "", bytes: 0 };
    this.log = makeMemoryLog({ hard: { term, vote, commit }, snap, entries: entriesOf({ first: base.index + 1, terms }) });
    this.options = { ...plain, id, ...setup.options };
    this.r = new RaftState(this.options, { ...this.log.boot(), applied: base.index, membership }, this.log.view);
    becomeFollower(this.r, term, 0);
  }

  step(i: Input): Outcome | undefined {
    return step(this.r, i);
  }

  /** A message arrives, by default in this member's own term. */
  receive(from: NodeId, m: Msg, term: Term = Math.max(1, this.r.term)): void {
    this.step({ k: "recv", e: { from, to: this.r.id, term, m } });
  }

  /** Does everything that is due, to a fixed point, and returns what it sent to others. Applied does not move. */
  settle(): Envelope[] {
    const before = this.sent.length;
    while (hasNews(this.r)) this.carryOut(collect(this.r));
    return this.sent.slice(before);
  }

  private carryOut(ready: Ready): void {
    this.sent.push(...ready.send);
    this.reads.push(...ready.reads);
    const { snapshot } = this;
    for (const { to } of ready.snapshotTo) {
      if (snapshot !== null) this.sent.push({ from: this.r.id, to, term: this.r.term, m: { t: "snapOffer", meta: snapshot } });
    }
    const { append } = ready;
    if (append !== null) {
      this.log.write([append]);
      if (append.slice !== null) this.written.push(...append.slice.entries);
      this.step({ k: "stored", token: append.token, term: append.term, last: append.last, snap: append.snap?.id.index ?? 0 });
      for (const e of append.thenSend) {
        if (e.to === this.r.id) this.step({ k: "recv", e });
        else this.sent.push(e);
      }
    }
    this.toApply.push(...ready.apply);
  }

  /** The terms of all entries this member has, durable or not. */
  terms(): Term[] {
    const { log } = this.r;
    const found: Term[] = [];
    for (let i = log.firstIndex(); i <= log.lastIndex(); i++) found.push(log.knownTerm(i));
    return found;
  }
}

/** The plain protocol, one election timeout being 10 ticks. */
const plain: CoreOptions = {
  id: 1,
  electionTicks: 10,
  heartbeatTicks: 1,
  priority: 0,
  limits: unlimited,
  rng: () => 0,
  checks: "cheap",
  preVote: false,
  checkQuorum: false,
};

export function membershipOf(
  voters: readonly NodeId[],
  outgoing: readonly NodeId[] = [],
  learners: readonly NodeId[] = [],
): Membership {
  return { voters, outgoing, learners, learnersNext: [], autoLeave: false };
}
