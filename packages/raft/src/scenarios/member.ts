import { decodeConfigChange } from "../config-change.ts";
import { makeCore } from "../core/core.ts";
import { makeMemoryLog, type MemoryLog, type MemoryLogContent } from "../memory-log.ts";
import {
  type AppendBatch,
  type ConfigChange,
  type CoreOptions,
  type Entry,
  type Envelope,
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

export const storyLimits: Limits = {
  maxMsgBytes: 24,
  maxRoundBytes: 72,
  maxInflightMsgs: 4,
  maxInflightBytes: 1 << 20,
  maxUncommittedBytes: 64,
  maxApplyBytes: 1 << 20,
  maxPendingReads: 8,
  maxEntryBytes: 32,
  maxMembers: 7,
};

/** What a snapshot's data would be: all that was applied, as text. */
export interface TakenSnapshot {
  readonly meta: SnapMeta;
  readonly applied: readonly string[];
}

/** What a story's member tells the story. */
export interface Telling {
  say(line: string): void;
  send(envelopes: readonly Envelope[]): void;
  askSnapshot(from: NodeId, to: NodeId, atLeast: number): void;
}

/**
 * One member of a story: a real core with a log and a state machine in memory, driven as the contract says. Its disk can
 * be held, so that writes wait and a crash loses them; what it applied is kept, as a state machine on disk would.
 */
export class StoryMember {
  readonly id: NodeId;
  readonly log: MemoryLog;
  readonly applied: string[] = [];
  /** Writes handed out and not done, while the disk is held. */
  readonly unwritten: AppendBatch[] = [];
  diskHeld = false;
  snapshot: TakenSnapshot | null = null;
  /** Null while crashed. */
  core: RaftCore | null;
  private appliedIndex = 0;
  private membership: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
  private readonly telling: Telling;

  constructor(id: NodeId, content: MemoryLogContent, telling: Telling) {
    this.id = id;
    this.log = makeMemoryLog(content);
    this.telling = telling;
    this.core = this.boot();
  }

  step(input: Input): Outcome | undefined {
    return this.core?.step(input);
  }

  /** Takes and does what there is to do; true when there was something. */
  work(): boolean {
    if (this.core === null || !this.core.pending()) return false;
    this.carryOut(this.core, this.core.take());
    return true;
  }

  /** Does the oldest write that waits; false when none does. */
  write(): boolean {
    const batch = this.unwritten.shift();
    if (batch === undefined || this.core === null) return false;
    this.log.write([batch]);
    if (batch.snap !== null) this.restore(batch.snap);
    this.telling.send(batch.thenSend);
    const { token, term, last } = batch;
    this.core.step({ k: "stored", token, term, last, snap: batch.snap?.id.index ?? 0 });
    return true;
  }

  crash(): void {
    this.core = null;
    this.unwritten.length = 0;
  }

  restart(): void {
    this.core = this.boot();
  }

  takeSnapshot(): void {
    const index = this.appliedIndex;
    const id = { index, term: Number(this.log.view.term(index)) };
    this.snapshot = { meta: { id, membership: this.membership, digest: `s${index}`, bytes: index }, applied: [...this.applied] };
    void this.log.compact(index);
    this.step({ k: "compacted", index });
  }

  private boot(): RaftCore {
    const options: CoreOptions = {
      id: this.id,
      electionTicks: 10,
      heartbeatTicks: 2,
      priority: 0,
      limits: storyLimits,
      // Members have timeouts of 11, 12, 13 ... ticks, so that a story always goes the same way.
      rng: () => (this.id % 10) / 10,
      checks: "full",
      preVote: true,
      checkQuorum: true,
    };
    return makeCore(options, { ...this.log.boot(), applied: this.appliedIndex, membership: this.membership }, this.log.view);
  }

  private carryOut(core: RaftCore, ready: Ready): void {
    const { id, telling } = this;
    if (ready.role !== null) telling.say(`${id} ${roleText(id, ready.role)}`);
    telling.send(ready.send);
    for (const { to, atLeast } of ready.snapshotTo) telling.askSnapshot(id, to, atLeast);
    for (const { key, index } of ready.reads) telling.say(`${id} may answer read ${key} at index ${index}`);
    for (const key of ready.readsFailed) telling.say(`${id} gives up read ${key}`);
    for (const { first, last, term } of ready.dropped) telling.say(`${id} lost its proposals ${first}..${last} of term ${term}`);
    if (ready.append !== null) {
      this.unwritten.push(ready.append);
      if (!this.diskHeld) while (this.write());
    }
    if (ready.apply.length > 0) this.apply(core, ready.apply);
  }

  private apply(core: RaftCore, entries: readonly Entry[]): void {
    const told: string[] = [];
    let bytes = 0;
    for (const e of entries) {
      bytes += e.data.length;
      told.push(`${e.index} ${this.applyOne(core, e)}`);
    }
    this.appliedIndex = entries[entries.length - 1]!.index;
    this.telling.say(`${this.id} applies ${told.join(", ")}`);
    core.step({ k: "applied", index: this.appliedIndex, bytes });
  }

  private applyOne(core: RaftCore, e: Entry): string {
    if (e.kind === Kind.noop) return "(no-op)";
    if (e.kind === Kind.normal) {
      const text = new TextDecoder().decode(e.data);
      this.applied.push(text);
      return text;
    }
    const change = decodeConfigChange(e.data);
    core.step({ k: "configApplied", index: e.index, change });
    const before = this.membership;
    this.membership = core.status().membership;
    return `[${changeText(change)}${this.membership === before ? ", which does not apply" : `: ${membersText(this.membership)}`}]`;
  }

  private restore(meta: SnapMeta): void {
    this.appliedIndex = meta.id.index;
    this.membership = meta.membership;
    this.snapshot = received.get(meta) ?? null;
    this.applied.splice(0, this.applied.length, ...(this.snapshot?.applied ?? []));
    this.telling.say(`${this.id} installs the snapshot at ${meta.id.index}: ${this.applied.join(" ")}`);
  }
}

/** The data that came with a snapshot, by its record: what a snapshot store would keep on disk. */
export const received = new WeakMap<SnapMeta, TakenSnapshot>();

function roleText(id: NodeId, role: NonNullable<Ready["role"]>): string {
  if (role.state === "leader") return `leads term ${role.term}`;
  if (role.state === "preCandidate") return `asks whether it could win term ${role.term + 1}`;
  if (role.state === "candidate") return `runs for term ${role.term}`;
  if (role.leader === 0 || role.leader === id) return `knows no leader in term ${role.term}`;
  return `follows ${role.leader} in term ${role.term}`;
}

const letters = { addVoter: "+", addLearner: "~", remove: "-" } as const;

function changeText(change: ConfigChange): string {
  return change.leave ? "leave" : change.changes.map(({ op, id }) => `${letters[op]}${id}`).join(" ");
}

export function membersText(m: Membership): string {
  const parts = [`voters ${m.voters.join(" ")}`];
  if (m.outgoing.length > 0) parts.push(`outgoing ${m.outgoing.join(" ")}`);
  if (m.learners.length > 0) parts.push(`learners ${m.learners.join(" ")}`);
  if (m.learnersNext.length > 0) parts.push(`learners next ${m.learnersNext.join(" ")}`);
  return parts.join(", ");
}
