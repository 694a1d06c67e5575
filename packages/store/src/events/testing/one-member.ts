/**
 * A cluster of one whose consensus is played by the test: it commits when told, can lose leadership, and can have its
 * entries overwritten. Its log lives in memory and survives {@link OneMember.restart}, as a disk would;
 * state and snapshots are in a folder.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import { Kind } from "@aether/raft/types";
import type {
  Entry,
  EntryId,
  Index,
  LogView,
  Membership,
  Outcome,
  Role,
  SnapMeta,
  SnapshotStore,
  Term,
} from "@aether/raft/types";
import { openSnapshots } from "../../snapshots.ts";
import type { Answer, ConsensusPort, EventStore, EventStoreOptions } from "../../types.ts";
import { encodeEntry } from "../entry-codec.ts";
import { openEventStoreOn, setAside } from "../open.ts";
import { openLevelState } from "../state-db.ts";
import type { StateDb } from "../state-db.ts";
import { boxRegistry, filled } from "./box-noun.ts";

export const operator: Identity = { name: "olga", role: "operator" };
export const alone: Membership = { voters: [1], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** Copies a snapshot from one store to another, chunk by chunk as a transport does. */
export async function carry(m: SnapMeta, from: SnapshotStore, to: SnapshotStore): Promise<void> {
  const writer = await to.begin(m);
  for (let offset = 0, eof = false; !eof;) {
    const chunk = await from.read(m, offset, 16 * 1024);
    await writer.write(offset, chunk.bytes, chunk.crc);
    offset += chunk.bytes.length;
    ({ eof } = chunk);
  }
  await writer.commit();
}

/** The log: `base` is the last compacted entry. */
export class HandLog implements LogView {
  entries: Entry[] = [];
  base: EntryId = { index: 0, term: 0 };

  first(): Index {
    return this.base.index + 1;
  }

  last(): EntryId {
    return this.entries.at(-1) ?? this.base;
  }

  term(i: Index): Term | "compacted" | "beyond" {
    if (i < this.base.index) return "compacted";
    return i === this.base.index ? this.base.term : (this.entries[i - this.first()]?.term ?? "beyond");
  }

  read(lo: Index, hi: Index, maxBytes: number): readonly Entry[] | "compacted" {
    if (lo < this.first()) return "compacted";
    const found: Entry[] = [];
    let bytes = 0;
    for (const entry of this.entries.slice(lo - this.first(), hi - this.first())) {
      bytes += entry.data.length;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push(entry);
    }
    return found;
  }
}

export type MemberOptions = Partial<EventStoreOptions> & {
  readonly registry?: Registry;
  readonly wrapDb?: (db: StateDb) => StateDb;
};

export class OneMember implements ConsensusPort {
  readonly log = new HandLog();
  snapshots: SnapshotStore;
  readonly dir: string;
  store!: EventStore;
  /** The snapshot that the log was begun anew with, as its storage would remember it. */
  installed: SnapMeta | null = null;
  term = 0;
  committed = 0;
  /** Commits on its own, a turn after each proposal. */
  auto = true;
  /** What readBarrier does; tests replace it. */
  confirm: () => Promise<void> = () => Promise.resolve();
  fatal: Error | null = null;
  /** The leader's clock, which a test may set back. */
  now = 1_000;
  /** The state folder in use. */
  state: string;
  /** What the state folder held when it was opened last, before the log was replayed. */
  openedAt = 0;
  private crashes = 0;
  private bits = 0;
  private leading = false;
  private readonly options: MemberOptions;

  private constructor(dir: string, snapshots: SnapshotStore, options: MemberOptions) {
    this.snapshots = snapshots;
    this.dir = dir;
    this.state = join(dir, "state");
    this.options = options;
  }

  static async start(options: MemberOptions = {}): Promise<OneMember> {
    const dir = await mkdtemp(join(tmpdir(), "aether-events-"));
    const member = new OneMember(dir, await openSnapshots(join(dir, "snap")), options);
    await member.open();
    return member;
  }

  async open(): Promise<void> {
    const { registry, wrapDb, ...given } = this.options;
    const options: EventStoreOptions = {
      dir: this.state,
      now: () => this.now++,
      drawBits: () => (++this.bits).toString(16).padStart(32, "0"),
      flushMs: 5,
      flushRows: 1_000,
      keepEntries: 10,
      snapshotEveryEntries: 1_000_000,
      maxInFlight: 100,
      onFatal: (e) => {
        this.fatal ??= e;
        return undefined as never;
      },
      ...given,
    };
    const open = async (dir: string): Promise<StateDb> => (wrapDb ?? ((db) => db))(await openLevelState(dir));
    this.store = await openEventStoreOn(
      { open, setAside },
      options,
      registry ?? boxRegistry,
      this.log,
      this.snapshots,
      this.installed,
    );
    this.store.attach(this);
    const { applied } = this.store.stateMachine;
    this.openedAt = applied;
    const again = this.log.entries.filter((entry) => entry.index > applied && entry.index <= this.committed);
    if (again.length > 0) this.store.stateMachine.apply(again, alone);
  }

  /** Becomes leader of the next term, with its no-op committed unless told otherwise. */
  lead(commitNoop = true): void {
    this.term++;
    this.leading = true;
    this.append(Kind.noop, new Uint8Array());
    this.store.stateMachine.onRole({ state: "leader", term: this.term, leader: 1 });
    if (commitNoop) this.commit();
  }

  /** Another member leads from now on. */
  follow(leader = 2): void {
    this.term++;
    this.leading = false;
    const role: Role = { state: "follower", term: this.term, leader };
    this.store.stateMachine.onRole(role);
  }

  /** Replaces what is not committed by entries of another leader, and says so as the driver would. */
  overwrite(count: number, told: boolean): void {
    const gone = this.log.entries.filter((entry) => entry.index > this.committed);
    this.log.entries.length -= gone.length;
    const first = gone[0];
    const last = gone.at(-1);
    for (let i = 0; i < count; i++) this.append(Kind.noop, new Uint8Array());
    if (told && first !== undefined && last !== undefined) {
      this.store.stateMachine.onDropped([{ first: first.index, last: last.index, term: first.term }]);
    }
  }

  append(kind: Kind, data: Uint8Array): Index {
    const index = this.log.last().index + 1;
    this.log.entries.push({ index, term: this.term, kind, data });
    return index;
  }

  /** Appends `count` entries that fill boxes, past any rule, without committing them. */
  fill(count: number, boxes = 10): void {
    for (let i = 0; i < count; i++) {
      const index = this.log.last().index + 1;
      const events = [filled(`b${index % boxes}`, index)];
      this.append(Kind.normal, encodeEntry({ at: this.now++, actor: operator, cause: "FillBox", request: null, events }));
    }
  }

  /** Commits and applies up to `upTo`, in batches of at most 64. */
  commit(upTo: Index = this.log.last().index): void {
    while (this.committed < upTo) {
      const from = this.committed + 1 - this.log.first();
      const batch = this.log.entries.slice(from, Math.min(from + 64, upTo + 1 - this.log.first()));
      this.committed += batch.length;
      this.store.stateMachine.apply(batch, alone);
    }
  }

  propose(data: readonly Uint8Array[]): Outcome {
    if (!this.leading) return { ok: false, why: "notLeader", leader: 2 };
    const first = this.log.last().index + 1;
    for (const bytes of data) this.append(Kind.normal, bytes);
    if (this.auto) setImmediate(() => this.leading && this.commit());
    return { ok: true, first, last: this.log.last().index, term: this.term };
  }

  async readBarrier(): Promise<Index> {
    await this.confirm();
    return this.store.applied;
  }

  snapshot(): Promise<SnapMeta> {
    return this.store.stateMachine.snapshot(this.snapshots);
  }

  compact(upTo: Index): Promise<void> {
    this.log.base = { index: upTo, term: this.log.term(upTo) as Term };
    this.log.entries = this.log.entries.filter((entry) => entry.index > upTo);
    return Promise.resolve();
  }

  ask(command: Command, request: string | null = null, actor: Identity = operator): Promise<Answer> {
    return new Promise((resolve) => {
      this.store.submit({ command, actor, request: request === null ? null : { client: actor.name, id: request } }, resolve);
    });
  }

  /** Close and open again: log, snapshots and folder are as they were left. */
  async restart(): Promise<void> {
    const { applied } = this.store;
    await this.store.close();
    await this.reopen(applied);
  }

  /** As a killed process leaves its folder: what was not flushed is gone. The old store lives on over the folder's original. */
  async crash(): Promise<void> {
    const next = join(this.dir, `state-${++this.crashes}`);
    const { flushed } = this.store.stats();
    await cp(this.state, next, { recursive: true });
    await this.store.close();
    this.state = next;
    await this.reopen(flushed);
  }

  /** A replay of the log would hide rows that were lost: the folder itself must hold everything up to `atLeast`. */
  private async reopen(atLeast: Index): Promise<void> {
    this.leading = false;
    await this.open();
    if (this.openedAt < atLeast) throw new Error(`the folder held entries up to ${this.openedAt}, not ${atLeast}`);
  }

  /** Closes and cleans up. Throws when something was fatal that the test did not take note of. */
  async end(): Promise<void> {
    await this.store.close();
    await rm(this.dir, { recursive: true, force: true });
    if (this.fatal !== null) throw this.fatal;
  }
}

/** All that a reader could see of the state; equal for equal states. */
export const picture = (m: OneMember): unknown => ({
  digest: m.store.stateDigest(),
  audit: m.store.auditHead(),
  rows: [...m.store.world.all("box")].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  sessions: m.store.stats().sessions,
});

/** 152 entries after the no-op: boxes filled, one removed, two requests to remember. */
export async function someLife(m: OneMember): Promise<void> {
  m.fill(150);
  m.commit();
  await m.ask({ type: "MoveAll", id: "b1", to: "b2" }, "r1");
  await m.ask({ type: "AddToBox", id: "b2", amount: 3 }, "r2");
}
