import { Broken } from "../errors.ts";
import type {
  Boot,
  CoreOptions,
  Envelope,
  HardState,
  Index,
  LogView,
  Membership,
  Msg,
  NodeId,
  Ready,
  RoleState,
  Term,
} from "../types.ts";
import { RaftLog } from "./log.ts";
import { Tracker } from "./tracker.ts";

/** One read waiting for its leader's word: asked by member `from` under `key`, to be answered with `index`. */
export interface WaitingRead {
  readonly from: NodeId;
  readonly key: number;
  readonly index: Index;
}

/** A read sent on to the leader; given up when the tick `expires` comes. */
export interface ForwardedRead {
  readonly key: number;
  readonly expires: number;
}

export interface OwnRun {
  readonly first: Index;
  readonly last: Index;
  readonly term: Term;
}

/** What the next {@link Ready} will carry. `appendsDue` and `readRoundDue` are sent once per take(), however many steps asked for them. */
export interface Outbox {
  send: Envelope[];
  thenSend: Envelope[];
  reads: { key: number; index: Index }[];
  readsFailed: number[];
  snapshotTo: { to: NodeId; atLeast: Index }[];
  dropped: OwnRun[];
  appendsDue: boolean;
  readRoundDue: boolean;
}

export function emptyOutbox(): Outbox {
  return {
    send: [],
    thenSend: [],
    reads: [],
    readsFailed: [],
    snapshotTo: [],
    dropped: [],
    appendsDue: false,
    readRoundDue: false,
  };
}

/** Everything one member's consensus knows. The files beside this one each hold the rules for one concern of it. */
export class RaftState {
  readonly options: CoreOptions;
  readonly id: NodeId;
  readonly log: RaftLog;
  readonly tracker: Tracker;

  term: Term;
  vote: NodeId;
  state: RoleState = "follower";
  leader: NodeId = 0;

  /** Ticks since start. */
  now = 0;
  /** Ticks since a leader was heard or an election began; on a leader, since its quorum was last checked. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Ticks without a leader after which this member campaigns; drawn anew with every term. */
  electionTimeout = 0;

  /** On a leader: no membership change is unapplied beyond this index. */
  pendingConfIndex: Index = 0;
  uncommittedBytes = 0;
  /** The member that leadership is being handed to, or 0. */
  transferee: NodeId = 0;
  transferElapsed = 0;

  sick = false;
  sickTicks = 0;

  /** Reads that came before the first commit of this leader's term. */
  earlyReads: WaitingRead[] = [];
  /** Reads waiting for the quorum to confirm this leader: the first has position `confirmedReads + 1`. */
  unconfirmedReads: WaitingRead[] = [];
  confirmedReads = 0;
  forwardedReads: ForwardedRead[] = [];

  /** Own proposals, at most one run a term, that may not be committed yet. */
  ownRuns: OwnRun[] = [];
  /** Ids an applied change has removed, and whether they were told. */
  readonly removed = new Map<NodeId, boolean>();
  /** A member that applied this member's removal said so. */
  selfRemoved = false;
  /** Config entries up to here are part of a received snapshot. */
  configFloor: Index = 0;
  /** The leader of each of the last few terms. */
  readonly leaders: { term: Term; leader: NodeId }[] = [];

  rejectedMessages = 0;
  token = 0;
  storedToken = 0;
  /** Commit indexes on their way to the disk, by the token of the batch that carries them. */
  readonly commitsInFlight: { token: number; commit: Index }[] = [];
  out: Outbox = emptyOutbox();
  /** What the last Ready told, so that the next one tells only news. */
  toldHard: HardState;
  toldRole: NonNullable<Ready["role"]>;

  constructor(options: CoreOptions, boot: Boot, view: LogView) {
    // The commit index rides other writes, so the state machine may have got further than what was written of it.
    const committed = Math.max(boot.hard.commit, boot.snap.id.index, boot.applied);
    if (committed > boot.last.index) {
      throw new Broken(`A1 commit ${committed} lies within the log (last ${boot.last.index}): was acknowledged data lost here?`);
    }
    if (boot.applied < boot.snap.id.index)
      throw new Broken(`A12 snapshot ${boot.snap.id.index} was applied (applied ${boot.applied})`);
    this.options = options;
    this.id = options.id;
    this.term = boot.hard.term;
    this.vote = boot.hard.vote;
    this.log = new RaftLog(view, boot.last, committed, boot.applied, options.limits.maxApplyBytes);
    this.tracker = new Tracker(options.limits);
    this.tracker.switchTo(boot.membership, boot.last.index);
    this.configFloor = boot.applied;
    this.toldHard = boot.hard;
    this.toldRole = { state: "follower", term: this.term, leader: 0 };
  }

  /**
   * Queues a message. Answers to appends and votes, also those to itself, wait until everything appended or voted
   * before them is durable, and so do requests for votes: a candidate that came back with an older term could stand in this one
   * again, with a shorter log, and be given votes that were meant for the longer one. All else may leave at once.
   */
  send(to: NodeId, m: Msg, term: Term = this.term): void {
    const envelope: Envelope = { from: this.id, to, term, m };
    if (m.t === "appResp") this.queueAck(envelope, m);
    else if (m.t === "vote" || m.t === "voteResp" || m.t === "preVoteResp") this.out.thenSend.push(envelope);
    else this.out.send.push(envelope);
  }

  membership(): Membership {
    return this.tracker.membership;
  }

  /** An ack covers everything before its index, so of two acks in a row to one leader the higher one says it all. */
  private queueAck(envelope: Envelope, ack: Extract<Msg, { t: "appResp" }>): void {
    const queue = this.out.thenSend;
    const before = queue[queue.length - 1];
    if (
      ack.reject === null &&
      before?.m.t === "appResp" &&
      before.m.reject === null &&
      before.to === envelope.to &&
      before.term === envelope.term
    ) {
      if (ack.index > before.m.index) queue[queue.length - 1] = envelope;
    } else {
      queue.push(envelope);
    }
  }
}
