/**
 * What the event store offers to the floors above, and the small port through which it sees consensus.
 */
import type { Command, Reason, Rejection } from "@aether/core/kernel/command";
import type { DomainEvent, Identity, RecordedEntry, RequestId } from "@aether/core/kernel/event";
import type { Stored, World } from "@aether/core/kernel/world";
import type { Index, Membership, NodeId, Outcome, Role, SnapMeta, StateMachine } from "@aether/raft/types";

/** All that the store needs of a consensus engine. packages/raft's RaftNode fits; a second engine would implement this. */
export interface ConsensusPort {
  propose(data: readonly Uint8Array[]): Outcome;
  readBarrier(deadlineMs: number): Promise<Index>;
  snapshot(): Promise<SnapMeta>;
  compact(upTo: Index): Promise<void>;
}

/** How the store waits: the event loop's timers, or a simulator's. Fits raft's Clock. */
export interface StoreTiming {
  /** Milliseconds that do not go back. */
  now(): number;
  /** Runs f once after `ms`; returns the canceller. */
  after(ms: number, f: () => void): () => void;
  /** Runs f after the current burst of callbacks (setImmediate). */
  immediate(f: () => void): void;
}

/** A command that has been parsed at the edge, with who asks and, for exactly-once, under which request id. */
export interface Submission {
  readonly command: Command;
  readonly actor: Identity;
  readonly request: RequestId | null;
}

/**
 * Exactly one per submission. `index` is where it committed (or, when nothing had to change, the index it was decided at).
 * `version` is the thing's version after it. `replayed` says that the answer is the one remembered for this request id.
 */
export type Answer =
  | {
      readonly ok: true;
      readonly index: Index;
      readonly version: number;
      readonly changed: boolean;
      readonly replayed: boolean;
      readonly answer?: unknown;
    }
  | { readonly ok: false; readonly rejection: Rejection; readonly leader: NodeId };

export type { Reason };

export interface EntriesPage {
  readonly entries: readonly RecordedEntry[];
  /** Where to go on. */
  readonly next: Index;
  /** Lowest index still held. */
  readonly first: Index;
  readonly applied: Index;
}

/** The page's range begins below what is kept; `first` is the lowest index still held. */
export interface Compacted {
  readonly compacted: true;
  readonly first: Index;
}

export interface WatchOptions {
  /** First index wanted. */
  readonly from: Index;
  /** Only entries with an event about this thing, "node/n2". */
  readonly thing?: string;
  /** Whole entries, ascending, each once. Return false to be paused until resume() (slow consumer). */
  readonly onEntries: (entries: readonly RecordedEntry[], applied: Index) => boolean;
  /** The watch ended by itself. */
  readonly onEnd: (why: "compacted" | "stopped" | "tooSlow", first: Index) => void;
}

export interface Watch {
  resume(): void;
  cancel(): void;
}

/** Raw entries with the chain digest before the first and after the last of them: enough for a reader to prove the range alone. */
export interface AuditRange {
  readonly from: Index;
  readonly to: Index;
  /** Hex, the chain digest at from-1. */
  readonly before: string;
  /** Hex, the chain digest at `to` as this member recorded it when it applied the entry. */
  readonly after: string;
  readonly entries: readonly { readonly index: Index; readonly term: number; readonly kind: number; readonly data: Uint8Array }[];
}

export interface StateDigest {
  readonly index: Index;
  /** Hex, over all rows, sessions and the chain at that index; equal on every member. */
  readonly digest: string;
}

/** Where in the log a state is. */
export interface Moment {
  readonly index: Index;
  readonly term: number;
  /** Unix milliseconds of the last entry that says a time. */
  readonly at: number;
  /** Hex, the audit chain's digest at `index`. */
  readonly chain: string;
}

export interface FrozenRow {
  readonly noun: string;
  readonly stored: Stored;
}

/** All rows of one moment, while entries are applied. To be closed, and before the store is. */
export interface FrozenState extends Moment {
  /** Nouns one after the other, ids ascending by their bytes, at most 128 rows at a time; only of things ("noun/id") that `wanted` says. */
  rows(wanted?: (thing: string) => boolean): AsyncIterable<readonly FrozenRow[]>;
  close(): Promise<void>;
}

export interface EventStoreOptions {
  /** Folder of the state database (rows, history, chain). */
  readonly dir: string;
  /** Milliseconds since the epoch; used only by the leader, to stamp entries. */
  readonly now: () => number;
  /** 32 hex digits. */
  readonly drawBits: () => string;
  readonly flushMs: number;
  readonly flushRows: number;
  /** Keep at least this many entries behind the newest snapshot; older ones are compacted. */
  readonly keepEntries: number;
  readonly snapshotEveryEntries: number;
  /** Commands in flight at most; more are refused as `overloaded`. */
  readonly maxInFlight: number;
  readonly onFatal: (e: Error) => never;
  /** Told of every command refused as `forbidden`, so that the node can record the refusals. Must not throw. */
  readonly onDenied?: (s: Submission, r: Rejection) => void;
  /** Which events make members remember a state digest to compare. Default: those of type `CheckpointRecorded`. */
  readonly isCheckpoint?: (e: DomainEvent) => boolean;
  /** The level up to which event types may be written. Default: `featureLevel` of the cluster's row, 1 while there is none. */
  readonly featureLevel?: (world: World) => number;
  /** Default: the event loop's own timers. */
  readonly timing?: StoreTiming;
  /** Told when the state folder was found damaged at open and is being rebuilt from snapshot and log. */
  readonly onRecovered?: (why: string) => void;
}

export interface EventStore {
  /** Hand this to the raft driver. */
  readonly stateMachine: StateMachine;
  attach(port: ConsensusPort): void;

  /** Applied rows. */
  readonly world: World;
  readonly applied: Index;
  readonly role: Role;
  readonly membership: Membership;

  /** Decides now, ahead of commit, on the leader; `done` is called exactly once, when committed and applied, or refused. */
  submit(s: Submission, done: (a: Answer) => void): void;
  /** A linearizable read point: afterwards `world` reflects everything acknowledged before the call. Rejects with raft's ReadFailed. */
  barrier(deadlineMs: number): Promise<Index>;

  entries(from: Index, limit: number): Promise<EntriesPage | Compacted>;
  /** Indexes of the entries with an event about the thing, ascending. */
  history(noun: string, id: string, from: Index, limit: number): Promise<readonly Index[]>;
  watch(o: WatchOptions): Watch;
  /**
   * Called after each applied batch with the things that changed, e.g. "node/n2", and with null when a snapshot has replaced the whole
   * state: any may have, and there may be a million of them. For controllers. Returns the unsubscriber.
   */
  onApplied(f: (changed: ReadonlySet<string> | null, applied: Index) => void): () => void;

  auditRange(from: Index, limit: number): Promise<AuditRange | Compacted>;
  auditHead(): { readonly index: Index; readonly chain: string };
  /** The digest of the world as it is now. */
  stateDigest(): StateDigest;
  /** Digests remembered at the latest checkpoints, newest last, for members to compare. */
  readonly checkpoints: readonly StateDigest[];

  /** What `world` is of, now. */
  moment(): Moment;
  /** Flushes, and keeps what was flushed to be read at leisure. */
  freeze(): Promise<FrozenState>;

  /** Rows and applied index on disk. */
  flush(): Promise<Index>;
  stats(): {
    readonly rows: number;
    readonly inFlight: number;
    readonly sessions: number;
    readonly first: Index;
    /** From here on the history of things, and the audit chain, are complete. */
    readonly historyFirst: Index;
    readonly flushed: Index;
  };
  close(): Promise<void>;
}
