import type { NodeId, Outcome } from "../types.ts";
import type { PeerProgress } from "./progress.ts";
import { refused } from "./proposals.ts";
import { sendAppend } from "./sending.ts";
import type { RaftState } from "./state.ts";

/**
 * Begins to hand leadership to `to`: proposals are refused until it took over or one election timeout has passed.
 * It is told to campaign at once when its log is complete. A second request replaces an earlier one to another member.
 */
export function startTransfer(r: RaftState, to: NodeId): Outcome | undefined {
  if (r.state !== "leader") return refused(r, r.leader === 0 ? "noLeader" : "notLeader");
  const peer = r.tracker.find(to);
  if (peer === undefined || peer.learner) return refused(r, "invalid");
  if (r.transferee === to) return undefined;
  r.transferee = 0;
  if (to === r.id) return refused(r, "invalid");
  r.transferee = to;
  r.transferElapsed = 0;
  if (!handOver(r, peer)) sendAppend(r, peer, true);
  return undefined;
}

/** Tells the transferee to campaign, once it has everything. */
export function handOver(r: RaftState, peer: PeerProgress): boolean {
  if (peer.id !== r.transferee || peer.match !== r.log.lastIndex()) return false;
  r.send(peer.id, { t: "timeoutNow" });
  return true;
}

export function tickTransfer(r: RaftState): void {
  if (r.transferee !== 0 && ++r.transferElapsed >= r.options.electionTicks) r.transferee = 0;
}

/** The other voter that is closest to taking over, or 0 when none was heard of lately. */
export function bestSuccessor(r: RaftState): NodeId {
  let best: PeerProgress | undefined;
  for (const peer of r.tracker.peers) {
    if (peer.id === r.id || peer.learner || !peer.active) continue;
    if (best === undefined || peer.match > best.match) best = peer;
  }
  return best?.id ?? 0;
}
