/**
 * The types that consensus is made of: what goes into the core, what comes out, and the ports the driver needs.
 *
 * Nothing here knows Aether. Entries carry bytes; a state machine gives them meaning. The rules that bind these
 * types (what must be durable before what may be sent) are the package's first document: `packages/raft/README.md`.
 */

/** 1..2^32-1, minted once per member and never used again, not even for the same machine. 0 means "none". */
export type NodeId = number;
/** Safe integer, never goes back. */
export type Term = number;
/** Safe integer; the first entry of a log has index 1. */
export type Index = number;

export interface EntryId {
  readonly term: Term;
  readonly index: Index;
}

/** What an entry's bytes are. `config` carries an encoded {@link ConfigChange}; `noop` is a new leader's first entry. */
export const Kind = { normal: 0, config: 1, noop: 2 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export interface Entry extends EntryId {
  readonly kind: Kind;
  readonly data: Uint8Array;
}

/** A run of entries as one leader saw it: contiguous after `prev`, terms never fall nor exceed `leaderTerm`. Only `logSlice()` makes it. */
export interface LogSlice {
  readonly leaderTerm: Term;
  readonly prev: EntryId;
  readonly entries: readonly Entry[];
}

/** What a member must never forget. `commit` may lag: it rides other writes. */
export interface HardState {
  readonly term: Term;
  readonly vote: NodeId;
  readonly commit: Index;
}

/** `outgoing` is non-empty only while a joint change is under way. `learnersNext` are outgoing voters that become learners. */
export interface Membership {
  readonly voters: readonly NodeId[];
  readonly outgoing: readonly NodeId[];
  readonly learners: readonly NodeId[];
  readonly learnersNext: readonly NodeId[];
  readonly autoLeave: boolean;
}

/** `digest` names the state machine's content (hex), `bytes` is the size of the snapshot's data file. */
export interface SnapMeta {
  readonly id: EntryId;
  readonly membership: Membership;
  readonly digest: string;
  readonly bytes: number;
}

export interface Change {
  readonly op: "addVoter" | "addLearner" | "remove";
  readonly id: NodeId;
}

/** The content of a config entry. No changes and `leave` true = leave the joint configuration. */
export interface ConfigChange {
  readonly changes: readonly Change[];
  /** auto: joint only if more than one voter changes; joint: always, left automatically; explicit: joint, left by a second change. */
  readonly transition: "auto" | "joint" | "explicit";
  readonly leave: boolean;
  /** Opaque bytes for the state machine, e.g. which node an id belongs to. */
  readonly context: Uint8Array;
}

// ---------------------------------------------------------------------------------------------------- pure core

export interface Limits {
  readonly maxMsgBytes: number;
  /** Payload sent to one peer before others have their turn: what one that lags needs is read from disk while nothing else happens. */
  readonly maxRoundBytes: number;
  readonly maxInflightMsgs: number;
  readonly maxInflightBytes: number;
  readonly maxUncommittedBytes: number;
  readonly maxApplyBytes: number;
  readonly maxPendingReads: number;
  readonly maxEntryBytes: number;
  readonly maxMembers: number;
}

export interface CoreOptions {
  readonly id: NodeId;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  /** 0..3; each step lowers the randomised election timeout by one tick, so a preferred member tends to win. */
  readonly priority: number;
  readonly limits: Limits;
  /** Uniform in [0, 1). The only source of chance; seeded in tests and in the simulator. */
  readonly rng: () => number;
  /** cheap = A1–A14, constant per step, always on. full adds whole-log checks, for tests and the simulator. */
  readonly checks: "cheap" | "full";
  /** Always true in the product (the driver sets both and offers no switch). Off only for carried-over cases of the plain protocol. */
  readonly preVote: boolean;
  readonly checkQuorum: boolean;
}

/** What a restarted member knows. `applied` is the state machine's durable applied index. */
export interface Boot {
  readonly hard: HardState;
  readonly snap: SnapMeta;
  readonly last: EntryId;
  readonly applied: Index;
  /** Membership as of `applied` (a snapshot may be older than what was applied since). */
  readonly membership: Membership;
}

/**
 * The durable log, read synchronously: terms live in memory, bodies come from a cache or one bounded read.
 * `first()` is the lowest index whose body is held; `first() - 1` still has a known term.
 */
export interface LogView {
  first(): Index;
  last(): EntryId;
  term(i: Index): Term | "compacted" | "beyond";
  /** Entries [lo, hi), stopping after `maxBytes` but always at least one. */
  read(lo: Index, hi: Index, maxBytes: number): readonly Entry[] | "compacted";
}

export type Msg =
  | { readonly t: "app"; readonly prev: EntryId; readonly entries: readonly Entry[]; readonly commit: Index }
  | { readonly t: "appResp"; readonly index: Index; readonly reject: null | { readonly hint: EntryId } }
  | { readonly t: "hb"; readonly commit: Index; readonly readPos: number }
  | { readonly t: "hbResp"; readonly readPos: number }
  /** In these and their answers, `commit` is what the sender knows to be committed: without it the other may count a wrong quorum. */
  | { readonly t: "vote" | "preVote"; readonly last: EntryId; readonly transfer: boolean; readonly commit: EntryId }
  | { readonly t: "voteResp" | "preVoteResp"; readonly granted: boolean; readonly commit: EntryId }
  | { readonly t: "snapOffer"; readonly meta: SnapMeta }
  | { readonly t: "timeoutNow" }
  | { readonly t: "readIndex"; readonly key: number }
  | { readonly t: "readIndexResp"; readonly key: number; readonly index: Index }
  /** Told once to a sender whose id an applied change has removed. */
  | { readonly t: "removed" };

export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term: Term;
  readonly m: Msg;
}

export type Input =
  | { readonly k: "tick" }
  | { readonly k: "recv"; readonly e: Envelope }
  | { readonly k: "propose"; readonly data: readonly Uint8Array[] }
  | { readonly k: "change"; readonly change: ConfigChange }
  | { readonly k: "read"; readonly key: number }
  | { readonly k: "campaign" }
  | { readonly k: "transfer"; readonly to: NodeId }
  | { readonly k: "forgetLeader" }
  /** An AppendBatch is durable. `term` is the core's term when the batch was issued: a stale completion is ignored. */
  | { readonly k: "stored"; readonly token: number; readonly term: Term; readonly last: EntryId; readonly snap: Index }
  | { readonly k: "applied"; readonly index: Index; readonly bytes: number }
  /** The driver reached config entry `index` in apply order; the core validates and switches. Returns nothing; see status().membership. */
  | { readonly k: "configApplied"; readonly index: Index; readonly change: ConfigChange }
  | { readonly k: "snapStatus"; readonly to: NodeId; readonly index: Index; readonly ok: boolean }
  | { readonly k: "unreachable"; readonly to: NodeId }
  | { readonly k: "compacted"; readonly index: Index }
  | { readonly k: "stall"; readonly sick: boolean };

export type Refusal =
  | "noLeader"
  | "notLeader"
  | "transferring"
  | "uncommittedQuota"
  | "tooLarge"
  | "configPending"
  | "readQuota"
  | "stalled"
  | "invalid";

export type Outcome =
  | { readonly ok: true; readonly first: Index; readonly last: Index; readonly term: Term }
  | { readonly ok: false; readonly why: Refusal; readonly leader: NodeId };

/** One atomic durable write. `slice` replaces everything after `slice.prev.index`. */
export interface AppendBatch {
  readonly token: number;
  readonly term: Term;
  readonly hard: HardState | null;
  readonly slice: LogSlice | null;
  /** Install this received snapshot (its data is already durable on disk) and drop the log it covers. */
  readonly snap: SnapMeta | null;
  readonly last: EntryId;
  readonly sync: boolean;
  /** Votes and acks, including the leader's own ack to itself. May leave only when this batch is durable. */
  readonly thenSend: readonly Envelope[];
}

export type RoleState = "follower" | "preCandidate" | "candidate" | "leader";
export interface Role {
  readonly state: RoleState;
  readonly term: Term;
  readonly leader: NodeId;
}

export interface Ready {
  /** May leave before the append is durable. */
  readonly send: readonly Envelope[];
  readonly append: AppendBatch | null;
  /** Committed and locally durable entries, in order, each handed out once. */
  readonly apply: readonly Entry[];
  readonly reads: readonly { readonly key: number; readonly index: Index }[];
  /** Reads that will never be answered (leadership or term changed); the caller asks again with a new key. */
  readonly readsFailed: readonly number[];
  readonly role: null | Role;
  readonly snapshotTo: readonly { readonly to: NodeId; readonly atLeast: Index }[];
  /** Runs of own proposals that a new leader overwrote or that left the log on losing leadership: outcome not known to be committed. */
  readonly dropped: readonly { readonly first: Index; readonly last: Index; readonly term: Term }[];
}

export interface Progress {
  readonly state: "probe" | "replicate" | "snapshot";
  readonly match: Index;
  readonly next: Index;
  readonly inflight: number;
  readonly paused: boolean;
  readonly learner: boolean;
  readonly active: boolean; // heard in this election timeout or the one before
}

export interface CoreStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly hard: HardState;
  readonly applied: Index;
  readonly last: EntryId;
  readonly membership: Membership;
  /** Empty unless leader. */
  readonly progress: ReadonlyMap<NodeId, Progress>;
  readonly transferee: NodeId;
  /** Received messages refused as malformed (A3), since start. */
  readonly rejectedMessages: number;
}

/** `step` never throws on peer input; it throws {@link Broken} on a violated invariant, and the process must end. */
export interface RaftCore {
  step(i: Input): Outcome | undefined;
  pending(): boolean;
  take(): Ready;
  status(): CoreStatus;
  /** A short text of the whole state, equal for equal states; for the simulator. */
  digest(): string;
}

// ---------------------------------------------------------------------------------------------------- log storage

/**
 * What opening a log found. `tornTail`: only bytes that were never acknowledged are gone. `lost`: acknowledged state is
 * missing or altered, so this member id may never vote again. `foreign`: another cluster's, member's or format's data.
 */
export type OpenVerdict =
  | { readonly v: "clean"; readonly boot: Omit<Boot, "applied" | "membership"> }
  | { readonly v: "tornTail"; readonly boot: Omit<Boot, "applied" | "membership">; readonly droppedAfter: Index }
  | {
      readonly v: "lost";
      readonly floor: Index;
      readonly why: "hole" | "crc" | "chain" | "belowFloor" | "hardState" | "unreadable";
      readonly detail: string;
    }
  | { readonly v: "foreign"; readonly why: string };

export interface LogStorage {
  readonly view: LogView;
  /** One durable write for all of them, in order. A rejection is fatal to the process: never retry. */
  append(batches: readonly AppendBatch[]): Promise<void>;
  /** Forget entries at or below `upTo`: for good once it resolves. The space may come back later. */
  compact(upTo: Index): Promise<void>;
  stats(): LogStats;
  close(): Promise<void>;
}

export interface LogStats {
  readonly bytes: number;
  readonly writes: number;
  readonly syncs: number;
  readonly syncP99Us: number;
}

export interface SnapshotChunk {
  readonly bytes: Uint8Array;
  readonly crc: number;
  readonly eof: boolean;
}

/** A snapshot on its way in. Chunks arrive in order from `offset`; commit() makes it durable and checks the whole digest. */
export interface SnapshotWriter {
  readonly offset: number;
  write(offset: number, bytes: Uint8Array, crc: number): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

export interface SnapshotStore {
  /** Streams `rows` into a new durable snapshot file; gives the one that is held of the same index, term and digest, if any. */
  create(at: EntryId, membership: Membership, digest: string, rows: AsyncIterable<Uint8Array>): Promise<SnapMeta>;
  latest(): SnapMeta | null;
  /** Of the one with the index, term and digest of `m`, whose size may be another: members pack the same state differently. */
  read(m: SnapMeta, offset: number, max: number): Promise<SnapshotChunk>;
  /** Resumes a partial receive of the very same snapshot (index, term, digest), or starts anew. At most one partial is kept. */
  begin(m: SnapMeta): Promise<SnapshotWriter>;
  has(m: SnapMeta): boolean;
  /** False: it is not here, or was found altered and counts no more. */
  check(m: SnapMeta): Promise<boolean>;
}

// ---------------------------------------------------------------------------------------------------- transport

export interface Peer {
  readonly id: NodeId;
  readonly address: string;
}

export interface Transport {
  /** The set to keep connections to; everyone else is disconnected. */
  setPeers(peers: readonly Peer[]): void;
  /** Synchronous, bounded; drops what does not fit and reports it once through onUnreachable. Calls no onRecv, which may send at once. */
  send(batch: readonly Envelope[]): void;
  /** `term`: the leader's when it began, as the receiver's onSnapshot is told. Resolves "broken" on close() or when `to` leaves. */
  sendSnapshot(to: NodeId, m: SnapMeta, src: SnapshotStore, term: Term): Promise<"installed" | "refused" | "broken">;
  onRecv: (batch: readonly Envelope[]) => void;
  onUnreachable: (to: NodeId) => void;
  /** Nothing listens where `id` did, and nothing comes from it: its process is over, as far as can be seen from here. May repeat. */
  onGone: (id: NodeId) => void;
  /** A whole snapshot has arrived and is durable: the driver steps it into the core as snapOffer from `from`. */
  onSnapshot: (from: NodeId, term: Term, m: SnapMeta) => void;
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- driver
/** Deterministic and synchronous: what apply() did is visible in memory when it returns. */
export interface StateMachine {
  /** Durable applied index, from inside the state's own data: as found at open, then moving with each flush (compact() reads it). */
  readonly applied: Index;
  apply(entries: readonly Entry[], membership: Membership): void;
  /** Replace everything by this snapshot, durably, before returning. */
  restore(m: SnapMeta, src: SnapshotStore): Promise<void>;
  /** Make a snapshot of the state as it is now (applied index `at`). Must not stall apply. */
  snapshot(src: SnapshotStore): Promise<SnapMeta>;
  onRole(role: Role): void;
  onDropped(runs: Ready["dropped"]): void;
}

export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  after(ms: number, f: () => void): () => void;
  /** Runs f after the current burst of I/O callbacks (setImmediate). */
  immediate(f: () => void): void;
}

export interface DriverOptions {
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly maxInputsPerTurn: number;
  readonly maxTurnMs: number;
  readonly stallMs: number;
  readonly applyLagMax: number;
  readonly applyLagBytesMax: number;
  /** Any storage failure or broken invariant ends here; must not return. */
  readonly onFatal: (e: Error) => never;
}

export interface RaftNode {
  /** Stepped at once: the index is known (or the refusal is) when this returns. Commit is seen by StateMachine.apply. */
  propose(data: readonly Uint8Array[]): Outcome;
  /** Resolves with an index once the state machine has applied everything committed before the call. Rejects with {@link ReadFailed}. */
  readBarrier(deadlineMs: number): Promise<Index>;
  /**
   * Resolves with the final membership when the change is applied here and, if it went through a joint one, that was left.
   * Rejects with {@link ChangeRefused}.
   */
  change(changes: readonly Change[], context: Uint8Array, deadlineMs: number): Promise<Membership>;
  /** Resolves when `to` is seen as leader. Rejects with {@link TransferFailed}. */
  transfer(to: NodeId, deadlineMs: number): Promise<void>;
  status(): CoreStatus;
  /** Ask for the log to be cut; never past min(durable applied, snapshot) nor past a pinned stream. */
  compact(upTo: Index): Promise<void>;
  /** Take a snapshot now and remember it as latest. Rejects with {@link SnapshotBusy} while an older one is being sent. */
  snapshot(): Promise<SnapMeta>;
  readonly stats: DriverStats;
  stop(): Promise<void>;
}

export interface DriverStats {
  readonly turns: number;
  readonly inputs: number;
  readonly batches: number;
  readonly groups: number;
  readonly lateTicks: number;
}
