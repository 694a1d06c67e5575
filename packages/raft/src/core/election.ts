import type { EntryId, Msg, NodeId, Term } from "../types.ts";
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from "./roles.ts";
import type { RaftState } from "./state.ts";

type Request = Extract<Msg, { t: "vote" | "preVote" }>;

/** Why this member starts an election: by its own timer or a caller's wish, or because its leader hands over. */
export type Campaign = "timer" | "transfer";

/**
 * Starts an election unless this member may not win one: it leads already, has no vote, is still installing a
 * snapshot, its disk is stalled, or it has not applied a committed membership change, so that it would count the wrong quorum.
 */
export function campaign(r: RaftState, why: Campaign): void {
  if (r.state === "leader" || !promotable(r) || r.log.hasUnappliedConfig()) return;
  if (why === "timer" && r.options.preVote) requestVotes(r, "preVote", false);
  else requestVotes(r, "vote", why === "transfer");
}

/** A voter (also one on its way out of a joint membership) that is able to lead. */
export function promotable(r: RaftState): boolean {
  const self = r.tracker.find(r.id);
  return self !== undefined && !self.learner && r.log.unstable.snap === null && !r.sick && !r.selfRemoved;
}

/**
 * Whether a live leader is known: then a candidate is not even answered, unless that leader sent it. This keeps a
 * member that was cut off, or removed, from deposing a leader that works.
 */
export function hearsLeader(r: RaftState): boolean {
  return r.options.checkQuorum && r.leader !== 0 && r.electionElapsed < r.options.electionTicks;
}

/** A request of this term (or, for a pre-vote, of one that is not begun): granted to a log that is complete enough. */
export function onVoteRequest(r: RaftState, from: NodeId, term: Term, m: Request): void {
  const pre = m.t === "preVote";
  const free = r.vote === from || (r.vote === 0 && r.leader === 0) || (pre && term > r.term);
  const granted = free && r.log.isUpToDate(m.last);
  if (granted && !pre) {
    r.electionElapsed = 0;
    r.vote = from;
  }
  // A grant speaks for the term that was asked about; a refusal tells the candidate where this member is.
  r.send(from, { t: pre ? "preVoteResp" : "voteResp", granted, commit: committedEntry(r) }, granted ? term : r.term);
}

/** What this member knows to be committed, as what it asks and answers in elections says it. */
export function committedEntry(r: RaftState): EntryId {
  return { term: r.log.knownTerm(r.log.committed), index: r.log.committed };
}

/**
 * A voter or a candidate knows of a commit that this member does not. Memberships take effect when applied, so a member that has not
 * heard of the last commit may ask a quorum that is no more, and be refused by a removed member whose log is longer, for ever; or it
 * does not know that it is a voter, and the others wait for ever for the one whose log they would vote for. What is committed stays
 * so, whoever says it and in whatever term.
 */
export function learnCommit(r: RaftState, commit: EntryId): void {
  if (r.state === "leader" || commit.index <= r.log.committed || !r.log.matches(commit)) return;
  r.log.commitTo(commit.index);
  if (r.state !== "follower" && r.log.hasUnappliedConfig()) becomeFollower(r, r.term, 0);
}

export function onVoteResponse(r: RaftState, from: NodeId, granted: boolean): void {
  r.tracker.recordBallot(from, granted);
  const result = r.tracker.tally();
  if (result === "lost") {
    becomeFollower(r, r.term, 0);
  } else if (result === "won") {
    if (r.state === "preCandidate") requestVotes(r, "vote", false);
    else becomeLeader(r);
  }
}

function requestVotes(r: RaftState, kind: "vote" | "preVote", transfer: boolean): void {
  if (kind === "vote") becomeCandidate(r);
  else becomePreCandidate(r);
  const term = kind === "vote" ? r.term : r.term + 1;
  const last = r.log.last();
  const commit = committedEntry(r);
  for (const peer of r.tracker.peers) {
    if (peer.learner) continue;
    if (peer.id === r.id) r.send(r.id, { t: kind === "vote" ? "voteResp" : "preVoteResp", granted: true, commit }, term);
    else r.send(peer.id, { t: kind, last, transfer, commit }, term);
  }
}
