import type { EntryId, Index, Msg, NodeId } from "../types.ts";
import { dropOwnFrom } from "./proposals.ts";
import type { PeerProgress } from "./progress.ts";
import { advanceReads, releaseEarlyReads } from "./reads.ts";
import { sendAppend } from "./sending.ts";
import type { RaftState } from "./state.ts";
import { handOver } from "./transfer.ts";

/** A follower takes entries of its leader, or says where the logs may part. */
export function onAppend(r: RaftState, from: NodeId, m: Extract<Msg, { t: "app" }>): void {
  const { log } = r;
  if (m.prev.index < log.committed) {
    r.send(from, { t: "appResp", index: log.committed, reject: null });
    return;
  }
  if (r.ownRuns.length > 0 && log.matches(m.prev)) {
    const conflict = log.findConflict(m.entries);
    if (conflict !== 0 && conflict <= log.lastIndex()) dropOwnFrom(r, conflict);
  }
  const lastNew = log.maybeAppend(m.prev, m.entries, m.commit);
  if (lastNew >= 0) {
    r.send(from, { t: "appResp", index: lastNew, reject: null });
    return;
  }
  const hint = log.findConflictByTerm(Math.min(m.prev.index, log.lastIndex()), m.prev.term);
  r.send(from, { t: "appResp", index: m.prev.index, reject: { hint } });
}

/** A follower hears its leader: commits what it is told, and confirms that it still follows, for reads up to `readPos`. */
export function onHeartbeat(r: RaftState, from: NodeId, m: Extract<Msg, { t: "hb" }>): void {
  r.log.commitTo(m.commit);
  r.send(from, { t: "hbResp", readPos: m.readPos });
}

/** The leader hears that entries are durable somewhere, or that a follower's log differs. */
export function onAppendResponse(r: RaftState, peer: PeerProgress, m: Extract<Msg, { t: "appResp" }>): void {
  peer.active = true;
  if (m.reject !== null) {
    onRejection(r, peer, m.index, m.reject.hint);
    return;
  }
  if (!peer.ackedTo(m.index) && !(peer.match === m.index && peer.state === "probe")) return;
  if (peer.state === "probe" || (peer.state === "snapshot" && peer.match + 1 >= r.log.firstIndex())) peer.becomeReplicate();
  else if (peer.state === "replicate") peer.inflights.freeTo(m.index);
  commitWhatQuorumHas(r);
  r.out.appendsDue = true;
  handOver(r, peer);
}

/** Only entries of the leader's own term commit by counting; those before them commit with them (paper, section 5.4.2). */
export function commitWhatQuorumHas(r: RaftState): void {
  const { log, tracker } = r;
  const index = tracker.committed();
  if (index <= log.committed || log.term(index) !== r.term) return;
  log.commitTo(index);
  r.out.appendsDue = true;
  releaseEarlyReads(r);
}

/** A live follower: try it again if something is missing there, and count its word for reads. */
export function onHeartbeatResponse(r: RaftState, peer: PeerProgress, readPos: number): void {
  peer.active = true;
  peer.flowPaused = false;
  if (peer.match < r.log.lastIndex() || peer.state === "probe") sendAppend(r, peer, true, peer.probedEnough);
  peer.readAck = Math.max(peer.readAck, readPos);
  advanceReads(r);
}

/** Messages to `peer` were lost: what was sent ahead must be found out again. */
export function onUnreachable(peer: PeerProgress): void {
  if (peer.state === "replicate") peer.becomeProbe();
}

/**
 * Falls back in one step to where the logs may still agree: the follower's hint names its entry, and this log is searched
 * for the highest position whose term is not beyond that entry's, so a whole term is skipped at a time.
 */
function onRejection(r: RaftState, peer: PeerProgress, rejected: Index, hint: EntryId): void {
  const agree = hint.term > 0 ? r.log.findConflictByTerm(hint.index, hint.term).index : hint.index;
  if (!peer.rejectedAt(rejected, agree)) return;
  if (peer.state === "replicate") peer.becomeProbe();
  sendAppend(r, peer, true);
}
