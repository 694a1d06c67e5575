import { Broken, invariant } from "../errors.ts";
import type { Input, Outcome } from "../types.ts";
import { campaign, promotable } from "./election.ts";
import { onConfigApplied } from "./membership.ts";
import { leaveJointWhenDue, propose, proposeChange } from "./proposals.ts";
import { expireReads, failReads, startRead } from "./reads.ts";
import { receive } from "./receive.ts";
import { onUnreachable } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import { sendHeartbeats } from "./sending.ts";
import { onSnapStatus } from "./snapshot.ts";
import { setSick, tickStall } from "./stall.ts";
import type { RaftState } from "./state.ts";
import { startTransfer, tickTransfer } from "./transfer.ts";

/** Takes one input into the state. The outcome is the answer to a proposal, or the refusal of a wish. */
export function step(r: RaftState, i: Input): Outcome | undefined {
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
function note(r: RaftState, i: Input): void {
  switch (i.k) {
    case "forgetLeader":
      forgetLeader(r);
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
    default:
      throw new Broken("A1 every kind of input is known");
  }
}

/**
 * A batch is durable. Its entries are marked so only if the term is still the one it was issued in: a write that was
 * issued before may have been overtaken by a truncation and a rewrite with the very same (index, term).
 */
function onStored(r: RaftState, i: Extract<Input, { k: "stored" }>): void {
  invariant(i.token > r.storedToken && i.token <= r.token, "A1 writes complete in the order they were issued");
  r.storedToken = i.token;
  while (r.commitsInFlight.length > 0 && r.commitsInFlight[0]!.token <= i.token) {
    r.log.durableCommit = Math.max(r.log.durableCommit, r.commitsInFlight.shift()!.commit);
  }
  if (i.snap > 0) r.log.appliedSnap(i.snap);
  if (i.term === r.term) r.log.unstable.stableTo(i.last);
}

/** A follower stops believing in its leader, so that it may vote at once. It goes on following when it hears the leader again. */
function forgetLeader(r: RaftState): void {
  if (r.state !== "follower") return;
  failReads(r);
  r.leader = 0;
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
    for (const peer of r.tracker.peers) if (peer.id !== r.id) peer.beginPeriod();
  }
  leaveJointWhenDue(r);
  if (++r.heartbeatElapsed >= heartbeatTicks) {
    r.heartbeatElapsed = 0;
    sendHeartbeats(r);
  }
}
