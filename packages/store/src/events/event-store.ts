/** One member's event store: applies what consensus commits, decides while it leads, and serves readers. */
import type { DomainEvent, RecordedEntry } from "@aether/core/kernel/event";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { Registry } from "@aether/core/kernel/registry";
import type { Stored, World } from "@aether/core/kernel/world";
import { ReadFailed, invariant } from "@aether/raft/errors";
import type { Entry, Index, LogView, Membership, Ready, Role, SnapMeta, SnapshotStore, StateMachine } from "@aether/raft/types";
import { makePace } from "../pace.ts";
import { readRows } from "../snapshots.ts";
import type {
  Answer,
  AuditRange,
  Compacted,
  ConsensusPort,
  EntriesPage,
  EventStore,
  EventStoreOptions,
  FrozenState,
  Moment,
  StateDigest,
  StoreTiming,
  Submission,
  Watch,
  WatchOptions,
} from "../types.ts";
import type { AppliedState } from "./applied-state.ts";
import { Decider } from "./decider.ts";
import { frozenState } from "./frozen-state.ts";
import { Horizon } from "./horizon.ts";
import { LogReader, pageEntriesMax, recordedEntry } from "./log-reader.ts";
import { restoreSnapshot, snapshotRecords } from "./snapshot-stream.ts";
import type { StateDisk } from "./state-disk.ts";
import { eventLoop } from "./timing.ts";
import { Damaged } from "./value-codec.ts";
import { Watches } from "./watches.ts";
import type { WatchParts } from "./watches.ts";

export interface StoreParts {
  readonly options: EventStoreOptions;
  readonly registry: Registry;
  readonly log: LogView;
  readonly snapshots: SnapshotStore;
  readonly isCheckpoint: (e: DomainEvent) => boolean;
  readonly state: AppliedState;
  readonly disk: StateDisk;
}

/** After losing leadership the fate of own entries usually shows within an election; longer a caller need not wait. */
const orphanMs = 2_000;

/** So many entries behind the disk a flush comes at once, however few rows they changed: a restart applies them again. */
const flushEntries = 16_384;

/** The current rows, whichever state object holds them: a restore replaces it. */
class CurrentWorld implements World {
  private readonly rows: () => World;
  constructor(rows: () => World) {
    this.rows = rows;
  }
  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    return this.rows().get<R>(noun, id);
  }
  all<R = unknown>(noun: string): Iterable<Stored<R>> {
    return this.rows().all<R>(noun);
  }
  count(noun: string): number {
    return this.rows().count(noun);
  }
}

export class MemberEventStore implements EventStore {
  readonly world: World;
  readonly stateMachine: StateMachine;
  private state: AppliedState;
  private readonly parts: StoreParts;
  private readonly disk: StateDisk;
  private readonly decider: Decider;
  private readonly reader: LogReader;
  private readonly watches: Watches;
  private readonly horizon: Horizon;
  private readonly listeners = new Set<(changed: ReadonlySet<string> | null, applied: Index) => void>();
  private port: ConsensusPort | null = null;
  private applying = false;
  private closed = false;
  /** A flush that came early, because much has gathered, is under way. */
  private flushing = false;
  private cancelFlush: (() => void) | null = null;
  private cancelOrphans: (() => void) | null = null;
  private readonly timing: StoreTiming;

  constructor(parts: StoreParts) {
    const { options, registry, log, disk } = parts;
    const state = (): AppliedState => this.state;
    this.parts = parts;
    this.state = parts.state;
    this.disk = disk;
    this.timing = options.timing ?? eventLoop;
    const { timing } = this;
    this.world = new CurrentWorld(() => this.state.rows);
    this.decider = new Decider({ registry, options, world: this.world, state });
    this.reader = new LogReader({ registry, log, state, disk, timing });
    const applied = (): Index => this.state.applied.index;
    const tells: WatchParts["tells"] = (thing, from, limit) => this.tells(thing, from, limit);
    this.watches = new Watches({ registry, reader: this.reader, applied, first: () => log.first(), tells, timing });
    const rows = (): number => this.state.rows.size;
    this.horizon = new Horizon({ options, log, disk, snapshots: parts.snapshots, applied, rows });
    this.stateMachine = this.makeStateMachine();
  }

  attach(port: ConsensusPort): void {
    this.port = port;
    this.decider.attach(port);
    this.horizon.attach(port);
  }

  get applied(): Index {
    return this.state.applied.index;
  }

  get role(): Role {
    return this.decider.role;
  }

  get membership(): Membership {
    return this.state.membership;
  }

  get checkpoints(): readonly StateDigest[] {
    return this.state.checkpoints;
  }

  submit(s: Submission, done: (a: Answer) => void): void {
    invariant(!this.applying, "rules and readers do not submit while a batch is being applied");
    this.decider.submit(s, done);
  }

  async barrier(deadlineMs: number): Promise<Index> {
    if (this.port === null) throw new ReadFailed("noLeader");
    return this.port.readBarrier(deadlineMs);
  }

  entries(from: Index, limit: number): Promise<EntriesPage | Compacted> {
    return this.reader.entries(from, limit);
  }

  async history(noun: string, id: string, from: Index, limit: number): Promise<readonly Index[]> {
    const held = Math.max(from, this.historyFirst());
    return this.reading(this.disk.history(this.state, `${noun}/${id}`, held, Math.min(limit, pageEntriesMax)));
  }

  watch(o: WatchOptions): Watch {
    return this.watches.watch(o);
  }

  onApplied(f: (changed: ReadonlySet<string> | null, applied: Index) => void): () => void {
    this.listeners.add(f);
    return () => this.listeners.delete(f);
  }

  auditRange(from: Index, limit: number): Promise<AuditRange | Compacted> {
    return this.reading(this.reader.auditRange(from, limit));
  }

  auditHead(): { readonly index: Index; readonly chain: string } {
    return { index: this.state.trail.index, chain: Buffer.from(this.state.trail.head).toString("hex") };
  }

  stateDigest(): StateDigest {
    return this.state.digest();
  }

  moment(): Moment {
    const { applied, at } = this.state;
    return { ...applied, at, chain: this.auditHead().chain };
  }

  async freeze(): Promise<FrozenState> {
    const { onFatal } = this.parts.options;
    const { meta, view } = await this.disk.freeze(this.state).catch((error: Error) => onFatal(error));
    return frozenState(meta, view, onFatal);
  }

  flush(): Promise<Index> {
    return this.disk.flush(this.state).catch((error: Error) => this.parts.options.onFatal(error));
  }

  stats(): ReturnType<EventStore["stats"]> {
    return {
      rows: this.state.rows.size,
      inFlight: this.decider.inFlight,
      sessions: this.state.sessions.size,
      first: this.parts.log.first(),
      historyFirst: this.historyFirst(),
      flushed: this.disk.durable.index,
    };
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.horizon.stop();
    this.decider.abandon();
    this.watches.stop();
    this.listeners.clear();
    this.cancelOrphans?.();
    await this.horizon.idle();
    await this.flush();
    this.cancelFlush?.();
    await this.disk.exclusive(() => this.disk.db.close());
  }

  private makeStateMachine(): StateMachine {
    const durable = (): Index => this.disk.durable.index;
    return {
      get applied() {
        return durable();
      },
      apply: (entries, membership) => this.apply(entries, membership),
      restore: (m, src) => this.restore(m, src),
      snapshot: (src) => this.snapshot(src),
      onRole: (role) => this.onRole(role),
      onDropped: (runs: Ready["dropped"]) => this.decider.onDropped(runs),
    };
  }

  private apply(entries: readonly Entry[], membership: Membership): void {
    invariant(!this.applying && !this.closed, "batches are applied one at a time, to an open store");
    this.applying = true;
    if (failpoints.now !== null) failpoints.now("beforeApply");
    const changed = new Set<string>();
    const recorded: RecordedEntry[] | null = this.watches.wanted ? [] : null;
    const expanded = new Map<Index, ReadonlySet<string>>();
    for (const entry of entries) {
      const payload = this.state.apply(entry, changed);
      this.decider.applied(entry.index, entry.term);
      recorded?.push(recordedEntry(entry, payload, this.state.at));
      if (payload?.expanded !== undefined) expanded.set(entry.index, payload.expanded);
    }
    this.state.membership = membership;
    if (failpoints.now !== null) failpoints.now("afterApply");
    this.applying = false;
    this.decider.settle();
    if (recorded !== null) this.watches.push(recorded, expanded);
    this.announce(changed);
    this.scheduleFlush();
    this.horizon.advanced();
  }

  private announce(changed: ReadonlySet<string> | null): void {
    this.watches.advanced();
    for (const listener of this.listeners) listener(changed, this.state.applied.index);
  }

  private scheduleFlush(): void {
    // one that is under way may have begun before the rows that are counted here: what it leaves is seen when it is done
    if (this.flushing) return;
    const entries = this.state.applied.index - this.disk.durable.index;
    if (this.state.rows.dirtyCount >= this.parts.options.flushRows || entries >= flushEntries) {
      this.flushing = true;
      void this.flush().finally(() => {
        this.flushing = false;
        if (!this.closed && this.state.applied.index > this.disk.durable.index) this.scheduleFlush();
      });
      return;
    }
    this.cancelFlush ??= this.timing.after(this.parts.options.flushMs, () => {
      this.cancelFlush = null;
      if (!this.closed) void this.flush();
    });
  }

  private onRole(role: Role): void {
    this.decider.onRole(role);
    if (role.state === "leader" || this.decider.inFlight === 0) return;
    this.cancelOrphans ??= this.timing.after(orphanMs, () => {
      this.cancelOrphans = null;
      this.decider.giveUp();
    });
  }

  private async restore(m: SnapMeta, src: SnapshotStore): Promise<void> {
    const { registry, isCheckpoint } = this.parts;
    if (m.id.index <= this.state.applied.index) return;
    this.decider.abandon();
    const pace = makePace(
      () => this.timing.now(),
      (ms, f) => void this.timing.after(ms, f),
    );
    this.state = await restoreSnapshot(this.disk, m, readRows(src, m), registry, isCheckpoint, pace);
    this.watches.restored();
    this.announce(null);
  }

  /** A state that was restored knows nothing of what led to the snapshot, though the log may still hold some of it. */
  private historyFirst(): Index {
    return Math.max(this.parts.log.first(), this.state.trail.first);
  }

  /** Null below where the history is complete. */
  private async tells(thing: string, from: Index, limit: number): Promise<readonly Index[] | null> {
    if (from < this.historyFirst()) return null;
    return this.reading(this.disk.history(this.state, thing, from, limit));
  }

  /** Damage that a reader finds ends the process, as damage found at a start makes the state be built anew: by the next start. */
  private reading<T>(read: Promise<T>): Promise<T> {
    return read.catch((error: Error) => {
      if (error instanceof Damaged) return this.parts.options.onFatal(error);
      throw error;
    });
  }

  /** Rows are frozen by a database snapshot, so apply goes on while they are streamed. */
  private async snapshot(into: SnapshotStore): Promise<SnapMeta> {
    const { meta, answerPacks, view } = await this.disk.freeze(this.state);
    try {
      const latest = into.latest();
      if (latest !== null && latest.id.index === meta.applied.index) return latest;
      return await into.create(meta.applied, meta.membership, meta.digest, snapshotRecords(meta, answerPacks, view));
    } catch (error) {
      return this.parts.options.onFatal(error as Error);
    } finally {
      await view.close();
    }
  }
}
