import { invariant } from "../errors.ts";
import type { Boot, CoreOptions, CoreStatus, Input, LogView, NodeId, Outcome, Progress, RaftCore, Ready } from "../types.ts";
import { digestOf } from "./digest.ts";
import { campaign, promotable } from "./election.ts";
import { checkStep, checkWhole, type Marks, marksOf } from "./invariants.ts";
import { onConfigApplied } from "./membership.ts";
import { leaveJointWhenDue, propose, proposeChange } from "./proposals.ts";
import { expireReads, failReads, startRead } from "./reads.ts";
import { collect, hasNews } from "./ready.ts";
import { receive } from "./receive.ts";
import { onUnreachable } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { sendHeartbeats } from "./sending.ts";
import { onSnapStatus } from "./snapshot.ts";
import { setSick, tickStall } from "./stall.ts";
import { RaftState } from "./state.ts";
import { startTransfer, tickTransfer } from "./transfer.ts";

/**
 * One member's consensus as a pure step function. It does no I/O, reads no clock and starts nothing: inputs go in through
 * `step`, what is to be written, sent and applied comes out of `take`. The contract between the two is `README.md`.
 *
 * Throws {@link Broken} when what was booted from contradicts itself.
 */
export function makeCore(options: CoreOptions, boot: Boot, log: LogView): RaftCore {
  return new Core(new RaftState(options, boot, log));
}

class Core implements RaftCore {
  private readonly r: RaftState;
  private readonly marks: Marks;

  constructor(r: RaftState) {
    becomeFollower(r, r.term, 0);
    this.r = r;
    this.marks = marksOf(r);
  }

  step(i: Input): Outcome | undefined {
    const outcome = dispatch(this.r, i);
    checkStep(this.r, this.marks);
    if (this.r.options.checks === "full") checkWhole(this.r);
    return outcome;
  }

  pending(): boolean {
    return hasNews(this.r);
  }

  take(): Ready {
    return collect(this.r);
  }

  status(): CoreStatus {
    const { r } = this;
    const progress = new Map<NodeId, Progress>();
    if (r.state === "leader") for (const peer of r.tracker.peers) progress.set(peer.id, peer.view());
    return {
      id: r.id,
      role: { state: r.state, term: r.term, leader: r.leader },
      hard: { term: r.term, vote: r.vote, commit: r.log.committed },
      applied: r.log.applied,
      last: r.log.last(),
      membership: r.membership(),
      progress,
      transferee: r.transferee,
      rejectedMessages: r.rejectedMessages,
    };
  }

  digest(): string {
    return digestOf(this.r);
  }
}

function dispatch(r: RaftState, i: Input): Outcome | undefined {
  switch (i.k) {
    case "recv":
      receive(r, i.e);
      return undefined;
    case "propose":
      return propose(r, i.data);
    case "stored":
      onStored(r, i);
      return undefined;
    case "applied":
      onApplied(r, i.index, i.bytes);
      return undefined;
    case "tick":
      onTick(r);
      return undefined;
    case "change":
      return proposeChange(r, i.change);
    case "read":
      return startRead(r, i.key);
    case "transfer":
      return startTransfer(r, i.to);
    case "campaign":
      campaign(r, "timer");
      return undefined;
    default:
      note(r, i);
      return undefined;
  }
}

/** Inputs that only tell the core something, and have no outcome of their own. */
function note(r: RaftState, i: Exclude<Input, { k: "recv" | "propose" | "stored" | "applied" | "tick" | "change" | "read" | "transfer" | "campaign" }>): void {
  switch (i.k) {
    case "forgetLeader":
      if (r.state === "follower") {
        failReads(r);
        r.leader = 0;
      }
      break;
    case "configApplied":
      onConfigApplied(r, i.index, i.change);
      break;
    case "snapStatus":
      onSnapStatus(r, i.to, i.index, i.ok);
      break;
    case "unreachable": {
      const peer = r.tracker.find(i.to);
      if (r.state === "leader" && peer !== undefined) onUnreachable(peer);
      break;
    }
    case "compacted":
      invariant(i.index <= r.log.applied, "A12 only what is applied is compacted");
      break;
    case "stall":
      setSick(r, i.sick);
      break;
  }
}

/**
 * A batch is durable. Its entries are marked so only if the term is still the one it was issued in: a write that was
 * issued before may have been overtaken by a truncation and a rewrite with the very same (index, term).
 */
function onStored(r: RaftState, i: Extract<Input, { k: "stored" }>): void {
  invariant(i.token > r.storedToken && i.token <= r.token, "A1 writes complete in the order they were issued");
  r.storedToken = i.token;
  if (i.snap > 0) r.log.appliedSnap(i.snap);
  if (i.term === r.term) r.log.unstable.stableTo(i.last);
}

function onApplied(r: RaftState, index: number, bytes: number): void {
  r.log.appliedTo(index);
  r.uncommittedBytes = index >= r.log.lastIndex() ? 0 : Math.max(0, r.uncommittedBytes - bytes);
  leaveJointWhenDue(r);
}

function onTick(r: RaftState): void {
  r.now++;
  r.electionElapsed++;
  expireReads(r);
  tickStall(r);
  if (r.state === "leader") {
    tickLeader(r);
  } else if (r.electionElapsed >= r.electionTimeout && promotable(r)) {
    r.electionElapsed = 0;
    campaign(r, "timer");
  }
}

function tickLeader(r: RaftState): void {
  const { electionTicks, heartbeatTicks, checkQuorum } = r.options;
  tickTransfer(r);
  if (r.electionElapsed >= electionTicks) {
    r.electionElapsed = 0;
    if (checkQuorum && !r.tracker.quorumActive()) {
      becomeFollower(r, r.term, 0);
      return;
    }
    for (const peer of r.tracker.peers) if (peer.id !== r.id) peer.active = false;
  }
  leaveJointWhenDue(r);
  if (++r.heartbeatElapsed >= heartbeatTicks) {
    r.heartbeatElapsed = 0;
    sendHeartbeats(r);
  }
}
