import { Broken, invariant } from "../errors.ts";
import { Kind, type NodeId, type Term } from "../types.ts";
import { appendOwn } from "./proposals.ts";
import { failReads } from "./reads.ts";
import type { RaftState } from "./state.ts";

const rememberedLeaders = 8;

/** Follows `leader` (0: unknown) in `term`. */
export function becomeFollower(r: RaftState, term: Term, leader: NodeId): void {
  startTerm(r, term);
  r.state = "follower";
  r.leader = leader;
}

/** Asks for votes in the next term; the own vote is cast here and counts once it is durable. */
export function becomeCandidate(r: RaftState): void {
  invariant(r.state !== "leader", "A1 a leader does not become a candidate");
  startTerm(r, r.term + 1);
  r.vote = r.id;
  r.state = "candidate";
}

/** Asks whether votes could be had, without raising the term or voting. */
export function becomePreCandidate(r: RaftState): void {
  invariant(r.state !== "leader", "A1 a leader does not become a pre-candidate");
  r.tracker.resetBallots();
  failReads(r);
  r.state = "preCandidate";
  r.leader = 0;
}

/** Leads the current term; its first entry is a no-op, whose commit vouches for everything before it. */
export function becomeLeader(r: RaftState): void {
  invariant(r.state !== "follower", "A1 only a candidate becomes leader");
  startTerm(r, r.term);
  r.state = "leader";
  r.leader = r.id;
  noteLeader(r, r.id);
  const self = r.tracker.find(r.id);
  if (self === undefined) throw new Broken("A1 only a member becomes leader");
  self.becomeReplicate();
  self.active = true;
  // Any entry of the log so far may be a membership change that is not applied yet.
  r.pendingConfIndex = r.log.lastIndex();
  appendOwn(r, Kind.noop, [new Uint8Array(0)]);
}

/** Rule A4: one term has one leader. */
export function noteLeader(r: RaftState, leader: NodeId): void {
  const { leaders, term } = r;
  const last = leaders[leaders.length - 1];
  if (last !== undefined && last.term === term) {
    if (last.leader !== leader) throw new Broken(`A4 term ${term} has one leader: ${last.leader} and ${leader} both lead`);
    return;
  }
  leaders.push({ term, leader });
  if (leaders.length > rememberedLeaders) leaders.shift();
}

function startTerm(r: RaftState, term: Term): void {
  invariant(Number.isSafeInteger(term) && term >= r.term, "A2 the term never goes back");
  if (term !== r.term) {
    r.term = term;
    r.vote = 0;
    // Acks of the old term that did not leave yet may name entries that are cut before they are written. To the old leader
    // they are as good as lost on the way.
    r.out.thenSend = r.out.thenSend.filter((e) => e.m.t !== "appResp");
  }
  failReads(r);
  r.leader = 0;
  r.electionElapsed = 0;
  r.heartbeatElapsed = 0;
  r.electionTimeout = drawElectionTimeout(r);
  r.transferee = 0;
  r.transferElapsed = 0;
  r.pendingConfIndex = 0;
  r.uncommittedBytes = 0;
  r.out.appendsDue = false;
  r.out.readRoundDue = false;
  // A snapshot is offered in the name of a leadership; one that ended offers nothing.
  r.out.snapshotTo = [];
  const last = r.log.lastIndex();
  r.tracker.resetBallots();
  // The own match is what is durable here; what is in flight to the disk is acknowledged by the ack that waits for it.
  for (const peer of r.tracker.peers) peer.reset(last + 1, peer.id === r.id ? r.log.durableIndex() : 0);
}

/** Uniform over one election timeout above the base, less the bonus of a preferred member, never below the base. */
function drawElectionTimeout(r: RaftState): number {
  const { electionTicks, rng, priority } = r.options;
  return Math.max(electionTicks, electionTicks + Math.floor(rng() * electionTicks) - priority);
}
