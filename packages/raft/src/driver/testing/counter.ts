import { createHash } from "node:crypto";
import { emptyMembership } from "../../core/confchange.ts";
import type { Entry, EntryId, Index, Membership, Ready, Role, SnapMeta, StateMachine } from "../../types.ts";
import type { MemorySnapshots } from "./memory-snapshots.ts";

/** What a counter has on disk: enough to be started again. */
export interface CounterContent {
  readonly applied: EntryId;
  readonly membership: Membership;
  readonly total: number;
  /** Names of the additions, in order: "client:seq". */
  readonly done: readonly string[];
  /** Digest over everything applied, noops and changes included: equal on members that applied the same entries. */
  readonly chain: string;
}

export const emptyCounter: CounterContent = {
  applied: { term: 0, index: 0 },
  membership: emptyMembership,
  total: 0,
  done: [],
  chain: "",
};

/** One addition of 1, named so that a test can tell them apart. */
export function addition(name: string, padding = 0): Uint8Array {
  return Buffer.from(name.padEnd(padding, " "));
}

/** A state machine that adds: small, and wrong in a visible way when an entry is lost, repeated or out of order. */
export class Counter implements StateMachine {
  content: CounterContent;
  flushed: CounterContent;
  role: Role = { state: "follower", term: 0, leader: 0 };
  readonly roles: Role[] = [];
  readonly dropped: { first: Index; last: Index; term: number }[] = [];
  readonly memberships: Membership[] = [];
  restored = 0;
  /** Flush after this many entries; what is not flushed is lost with the process. */
  flushEvery = 1;
  /** Called for every addition as it is applied. */
  onAddition: (name: string, entry: Entry) => void = () => undefined;
  /** Each holds its call back until it resolves. */
  snapshotGate: Promise<void> = Promise.resolve();
  restoreGate: Promise<void> = Promise.resolve();
  /** What it was doing beside applying, in order. */
  readonly works: string[] = [];

  constructor(content: CounterContent = emptyCounter) {
    this.content = content;
    this.flushed = content;
  }

  get applied(): Index {
    return this.flushed.applied.index;
  }

  apply(entries: readonly Entry[], membership: Membership): void {
    let { total, chain } = this.content;
    const done = [...this.content.done];
    let applied = this.content.applied;
    for (const entry of entries) {
      if (entry.index !== applied.index + 1) throw new Error(`entry ${entry.index} after ${applied.index}`);
      applied = { term: entry.term, index: entry.index };
      chain = createHash("sha256").update(`${chain}${entry.term}.${entry.index}.${entry.kind}`).update(entry.data).digest("hex");
      if (entry.kind !== 0) continue;
      const name = Buffer.from(entry.data).toString().trimEnd();
      total += 1;
      done.push(name);
      this.onAddition(name, entry);
    }
    if (this.memberships.at(-1) !== membership) this.memberships.push(membership);
    this.content = { applied, membership, total, done, chain };
    if (applied.index - this.flushed.applied.index >= this.flushEvery) this.flushed = this.content;
  }

  async restore(m: SnapMeta, src: MemorySnapshots): Promise<void> {
    this.works.push("restore");
    await this.restoreGate;
    this.content = JSON.parse(src.content(m).toString()) as CounterContent;
    this.flushed = this.content;
    this.restored += 1;
    this.works.push("restored");
  }

  async snapshot(src: MemorySnapshots): Promise<SnapMeta> {
    const { content } = this;
    this.works.push("snapshot");
    await this.snapshotGate;
    this.works.push("snapshot made");
    const rows = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(JSON.stringify(content));
    };
    return src.create(content.applied, content.membership, "", rows());
  }

  onRole(role: Role): void {
    this.role = role;
    this.roles.push(role);
  }

  onDropped(runs: Ready["dropped"]): void {
    this.dropped.push(...runs);
  }
}
