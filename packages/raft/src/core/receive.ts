import { type Envelope, type Msg, type NodeId } from "../types.ts";
import { campaign, committedEntry, hearsLeader, learnCommit, onVoteRequest, onVoteResponse } from "./election.ts";
import { malformed } from "./malformed.ts";
import { answerRemoved, onRemoved } from "./membership.ts";
import { onReadIndex, onReadIndexResp, readPosition } from "./reads.ts";
import { onAppend, onAppendResponse, onHeartbeat, onHeartbeatResponse } from "./replication.ts";
import { becomeFollower, noteLeader } from "./roles.ts";
import { onSnapOffer } from "./snapshot.ts";
import type { RaftState } from "./state.ts";

/** One message from a peer, or from this member to itself. Malformed ones are counted and change nothing. */
export function receive(r: RaftState, e: Envelope): void {
  if (malformed(e, r.id)) {
    r.rejectedMessages++;
    return;
  }
  if (e.m.t === "removed") {
    onRemoved(r);
    return;
  }
  if (e.from !== r.id && answerRemoved(r, e.from)) return;
  if (isElection(e.m)) learnCommit(r, e.m.commit);
  if (e.term > r.term && !meetHigherTerm(r, e)) return;
  if (e.term < r.term) answerLowerTerm(r, e);
  else if (e.m.t === "vote" || e.m.t === "preVote") onVoteRequest(r, e.from, e.term, e.m);
  else if (r.state === "leader") asLeader(r, e.from, e.m);
  else asFollower(r, e);
}

/** False when the message ends here. A pre-vote asks about a term that nobody has begun, so it raises none. */
function meetHigherTerm(r: RaftState, { from, term, m }: Envelope): boolean {
  const request = m.t === "vote" || m.t === "preVote";
  if (request && !m.transfer && hearsLeader(r)) return false;
  if (m.t === "preVote") {
    onVoteRequest(r, from, term, m);
    return false;
  }
  if (m.t === "preVoteResp" && m.granted) {
    if (r.state === "preCandidate" && term === r.term + 1) onVoteResponse(r, from, true);
    return false;
  }
  becomeFollower(r, term, speaksForLeader(m) ? from : 0);
  return true;
}

/**
 * A leader of an earlier term must learn that its term is over, or a member with a higher term that never wins an
 * election would stay deaf to it for ever; likewise one that asks for pre-votes with an old term.
 */
function answerLowerTerm(r: RaftState, { from, m }: Envelope): void {
  const { checkQuorum, preVote } = r.options;
  if (m.t === "preVote") r.send(from, { t: "preVoteResp", granted: false, commit: committedEntry(r) });
  else if ((m.t === "app" || m.t === "hb") && (checkQuorum || preVote)) r.send(from, { t: "appResp", index: 0, reject: null });
}

function asLeader(r: RaftState, from: NodeId, m: Msg): void {
  if (speaksForLeader(m)) {
    noteLeader(r, from);
    return;
  }
  if (m.t === "readIndex") {
    onReadIndex(r, from, m.key);
    return;
  }
  const peer = r.tracker.find(from);
  if (peer === undefined) return;
  if (beyondWhatWasSent(r, m)) r.rejectedMessages++;
  else if (m.t === "appResp") onAppendResponse(r, peer, m);
  else if (m.t === "hbResp") onHeartbeatResponse(r, peer, m.readPos);
}

function asFollower(r: RaftState, { from, term, m }: Envelope): void {
  if (speaksForLeader(m)) {
    if (r.state !== "follower") becomeFollower(r, term, from);
    noteLeader(r, from);
    r.electionElapsed = 0;
    r.leader = from;
  }
  switch (m.t) {
    case "app":
      onAppend(r, from, m);
      break;
    case "hb":
      onHeartbeat(r, from, m);
      break;
    case "snapOffer":
      onSnapOffer(r, from, m.meta);
      break;
    case "voteResp":
      if (r.state === "candidate") onVoteResponse(r, from, m.granted);
      break;
    case "preVoteResp":
      // A grant speaks of the next term and was counted above; one of this term answers an earlier round.
      if (r.state === "preCandidate" && !m.granted) onVoteResponse(r, from, false);
      break;
    case "timeoutNow":
      if (r.state === "follower") campaign(r, "transfer");
      break;
    case "readIndexResp":
      if (from === r.leader) onReadIndexResp(r, m.key, m.index);
      break;
    default:
      break;
  }
}

/** Rule A3 again: nobody can acknowledge an entry or a read that this leader does not have. */
function beyondWhatWasSent(r: RaftState, m: Msg): boolean {
  if (m.t === "appResp") return m.reject === null && m.index > r.log.lastIndex();
  return m.t === "hbResp" && m.readPos > readPosition(r);
}

/** Only the leader of the message's term sends these. */
function speaksForLeader(m: Msg): boolean {
  return m.t === "app" || m.t === "hb" || m.t === "snapOffer";
}

type Election = Extract<Msg, { t: "vote" | "preVote" | "voteResp" | "preVoteResp" }>;

const isElection = (m: Msg): m is Election => m.t === "vote" || m.t === "preVote" || m.t === "voteResp" || m.t === "preVoteResp";
