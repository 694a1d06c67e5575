import type { PeerProgress } from "./progress.ts";
import { payloadBytes } from "./log.ts";
import { advanceReads, readPosition } from "./reads.ts";
import type { RaftState } from "./state.ts";

/**
 * Sends one append to `peer` if its window allows: as many entries as one message takes, or one when `short`, or none when `evenEmpty`.
 * Turns to a snapshot when the entries it needs are compacted. False when nothing was sent.
 */
export function sendAppend(r: RaftState, peer: PeerProgress, evenEmpty: boolean, short = false): boolean {
  if (peer.isPaused()) return false;
  const { log } = r;
  const last = log.lastIndex();
  if (!evenEmpty && peer.next > last) return false;
  // A full window that something was heard through may have lost its appends: an empty one finds out.
  const full = peer.state === "replicate" && peer.inflights.full();
  if (full && !evenEmpty) return false;
  const prevIndex = peer.next - 1;
  const prevTerm = log.term(prevIndex);
  const { maxMsgBytes, maxRoundBytes } = r.options.limits;
  const end = full ? peer.next : short ? Math.min(peer.next, last) + 1 : last + 1;
  const entries = prevTerm < 0 ? "compacted" : log.read(peer.next, end, Math.min(maxMsgBytes, maxRoundBytes));
  if (entries === "compacted") return askForSnapshot(r, peer);
  r.send(peer.id, { t: "app", prev: { term: prevTerm, index: prevIndex }, entries, commit: log.committed });
  peer.sent(entries.length, payloadBytes(entries));
  peer.sentCommit = log.committed;
  return true;
}

/** Sends what the steps since the last take() made due: one round of appends, and one of heartbeats for all new reads. */
export function sendDue(r: RaftState): void {
  const { appendsDue } = r.out;
  r.out.appendsDue = false;
  if (r.state !== "leader") return;
  if (appendsDue) {
    for (const peer of r.tracker.peers) if (peer.id !== r.id) fillWindow(r, peer);
  }
  if (r.out.readRoundDue) {
    r.out.readRoundDue = false;
    sendHeartbeats(r);
    const self = r.tracker.find(r.id);
    if (self !== undefined) self.readAck = readPosition(r);
    advanceReads(r);
  }
}

/** A heartbeat tells no more commit than the follower is known to have, and asks it to confirm all reads so far. */
export function sendHeartbeats(r: RaftState): void {
  const readPos = readPosition(r);
  for (const peer of r.tracker.peers) {
    if (peer.id === r.id) continue;
    const commit = Math.min(peer.match, r.log.committed);
    r.send(peer.id, { t: "hb", commit, readPos });
    peer.sentCommit = commit;
  }
}

/** What goes beyond one round's bytes is due in the next. */
function fillWindow(r: RaftState, peer: PeerProgress): void {
  const { inflights } = peer;
  const roundEnds = inflights.bytes + r.options.limits.maxRoundBytes;
  while (inflights.bytes < roundEnds && sendAppend(r, peer, false));
  r.out.appendsDue ||= inflights.bytes >= roundEnds;
  if (peer.canBumpCommit(r.log.committed)) sendAppend(r, peer, true);
}

/** The member may be gone for good: no snapshot is made for one that has not been heard of lately. */
function askForSnapshot(r: RaftState, peer: PeerProgress): boolean {
  if (!peer.active) return false;
  const atLeast = r.log.firstIndex() - 1;
  peer.becomeSnapshot(atLeast);
  r.out.snapshotTo.push({ to: peer.id, atLeast });
  return true;
}
