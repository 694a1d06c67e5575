import { decodeConfigChange } from "../config-change.ts";
import { isMember } from "../core/confchange.ts";
import { makeCore } from "../core/core.ts";
import { makeMemoryLog, type MemoryLog, type MemoryLogContent } from "../memory-log.ts";
import {
  type AppendBatch,
  type CoreOptions,
  type Entry,
  type Envelope,
  type Index,
  type Input,
  Kind,
  type Limits,
  type Membership,
  type NodeId,
  type Outcome,
  type RaftCore,
  type Ready,
  type SnapMeta,
} from "../types.ts";

/** Small, so that every limit is met often. */
export const tightLimits: Limits = {
  maxMsgBytes: 12,
  maxRoundBytes: 24,
  maxInflightMsgs: 3,
  maxInflightBytes: 40,
  maxUncommittedBytes: 60,
  maxApplyBytes: 20,
  maxPendingReads: 4,
  maxEntryBytes: 16,
  maxMembers: 7,
};

/** What the state machine has on disk: it lags behind what is applied in memory. */
interface Flushed {
  readonly applied: Index;
  readonly membership: Membership;
}

/** What a member does that concerns the whole cluster. */
export interface Witness {
  send(envelopes: readonly Envelope[]): void;
  applied(id: NodeId, e: Entry): void;
  membershipAt(id: NodeId, index: Index, m: Membership): void;
  role(id: NodeId, role: NonNullable<Ready["role"]>): void;
  readAnswered(id: NodeId, key: number, index: Index): void;
  wantsSnapshot(from: NodeId, to: NodeId, atLeast: Index): void;
}

const nobody: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** One member under a hostile scheduler: its writes, their completions and its flushes happen when it is told, or never. */
export class SimMember {
  readonly id: NodeId;
  readonly log: MemoryLog;
  core: RaftCore | null = null;
  snapshot: SnapMeta | null = null;
  applied: Index = 0;
  /** Has applied a membership that it was part of. */
  wasMember = false;
  private membership = nobody;
  private flushed: Flushed = { applied: 0, membership: nobody };
  private unwritten: AppendBatch[] = [];
  private written: AppendBatch[] = [];
  private readonly witness: Witness;
  private readonly rng: () => number;

  constructor(id: NodeId, content: MemoryLogContent, witness: Witness, rng: () => number) {
    this.id = id;
    this.log = makeMemoryLog(content);
    this.witness = witness;
    this.rng = rng;
    this.start();
  }

  start(): void {
    const options: CoreOptions = {
      id: this.id,
      electionTicks: 6,
      heartbeatTicks: 2,
      priority: 0,
      limits: tightLimits,
      rng: this.rng,
      checks: "full",
      preVote: true,
      checkQuorum: true,
    };
    // A crash may have come between installing a snapshot in the log and restoring it: that comes first.
    const { snap } = this.log.boot();
    if (snap.id.index > this.flushed.applied) this.restore(snap);
    const { applied, membership } = this.flushed;
    this.applied = applied;
    this.membership = membership;
    this.core = makeCore(options, { ...this.log.boot(), applied, membership }, this.log.view);
  }

  crash(): void {
    this.core = null;
    this.unwritten = [];
    this.written = [];
  }

  step(input: Input): Outcome | undefined {
    return this.core?.step(input);
  }

  take(): void {
    const { core, witness } = this;
    if (core === null || !core.pending()) return;
    const ready = core.take();
    if (ready.role !== null) witness.role(this.id, ready.role);
    witness.send(ready.send);
    if (ready.append !== null) this.unwritten.push(ready.append);
    for (const { key, index } of ready.reads) witness.readAnswered(this.id, key, index);
    for (const { to, atLeast } of ready.snapshotTo) witness.wantsSnapshot(this.id, to, atLeast);
    this.apply(core, ready.apply);
  }

  /** One durable write of the `count` oldest batches; nobody is told yet. */
  write(count: number): void {
    const group = this.unwritten.splice(0, count);
    if (group.length === 0 || this.core === null) return;
    this.log.write(group);
    this.written.push(...group);
  }

  /** The oldest finished write is reported, and what waited for it released. */
  complete(): void {
    const batch = this.written.shift();
    if (batch === undefined || this.core === null) return;
    if (batch.snap !== null) this.restore(batch.snap);
    const own = batch.thenSend.filter((e) => e.to === this.id);
    this.witness.send(batch.thenSend.filter((e) => e.to !== this.id));
    for (const e of own) this.core.step({ k: "recv", e });
    this.core.step({ k: "stored", token: batch.token, term: batch.term, last: batch.last, snap: batch.snap?.id.index ?? 0 });
  }

  get busy(): boolean {
    return this.unwritten.length > 0 || this.written.length > 0 || (this.core?.pending() ?? false);
  }

  flush(): void {
    if (this.core !== null) this.flushed = { applied: this.applied, membership: this.membership };
  }

  /** Takes a snapshot of what is flushed and cuts the log there. */
  cut(): void {
    const index = this.flushed.applied;
    const term = this.log.view.term(index);
    if (this.core === null || index === 0 || typeof term !== "number" || index <= (this.snapshot?.id.index ?? 0)) return;
    this.snapshot = { id: { index, term }, membership: this.flushed.membership, digest: `s${index}`, bytes: 0 };
    void this.log.compact(index);
    this.core.step({ k: "compacted", index });
  }

  private apply(core: RaftCore, entries: readonly Entry[]): void {
    let bytes = 0;
    for (const e of entries) {
      bytes += e.data.length;
      if (e.index <= this.applied) throw new Error(`member ${this.id} is given entry ${e.index} to apply after ${this.applied}`);
      this.witness.applied(this.id, e);
      if (e.kind === Kind.config) core.step({ k: "configApplied", index: e.index, change: decodeConfigChange(e.data) });
      this.applied = e.index;
      this.membership = core.status().membership;
      this.wasMember ||= isMember(this.membership, this.id);
      if (e.kind === Kind.config) this.witness.membershipAt(this.id, e.index, this.membership);
    }
    if (entries.length > 0) core.step({ k: "applied", index: this.applied, bytes });
  }

  private restore(meta: SnapMeta): void {
    this.applied = meta.id.index;
    this.membership = meta.membership;
    this.wasMember ||= isMember(this.membership, this.id);
    this.snapshot = meta;
    this.flushed = { applied: this.applied, membership: this.membership };
  }
}
