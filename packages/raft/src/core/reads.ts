import { invariant } from "../errors.ts";
import type { Index, NodeId, Outcome } from "../types.ts";
import { refused } from "./proposals.ts";
import type { RaftState, WaitingRead } from "./state.ts";

/**
 * Starts a linearizable read. Accepted: undefined, and the key comes back in a later Ready's `reads` or `readsFailed`.
 * A follower sends it on to its leader.
 */
export function startRead(r: RaftState, key: number): Outcome | undefined {
  const { maxPendingReads } = r.options.limits;
  if (r.state === "leader") return takeRead(r, r.id, key) ? undefined : refused(r, "readQuota");
  if (r.leader === 0) return refused(r, "noLeader");
  if (r.forwardedReads.length >= maxPendingReads) return refused(r, "readQuota");
  r.forwardedReads.push({ key, expires: r.now + r.options.electionTicks });
  r.send(r.leader, { t: "readIndex", key });
  return undefined;
}

/** A follower's read reaches the leader. Over the limit it is dropped; the follower gives it up by itself. */
export function onReadIndex(r: RaftState, from: NodeId, key: number): void {
  if (r.state === "leader") takeRead(r, from, key);
}

export function onReadIndexResp(r: RaftState, key: number, index: Index): void {
  const at = r.forwardedReads.findIndex((read) => read.key === key);
  if (at < 0) return;
  r.forwardedReads.splice(at, 1);
  r.out.reads.push({ key, index });
}

/** The position of the newest read: what a heartbeat asks a follower to confirm. Never goes back within a term. */
export function readPosition(r: RaftState): number {
  return r.confirmedReads + r.unconfirmedReads.length;
}

/** Called when an entry of the leader's own term commits: reads that came earlier may take their index now. */
export function releaseEarlyReads(r: RaftState): void {
  if (r.earlyReads.length === 0 || !committedInOwnTerm(r)) return;
  const early = r.earlyReads;
  r.earlyReads = [];
  for (const { from, key } of early) register(r, from, key);
}

/** Answers every read that a quorum has confirmed. */
export function advanceReads(r: RaftState): void {
  const waiting = r.unconfirmedReads;
  const count = Math.min(r.tracker.readConfirmed() - r.confirmedReads, waiting.length);
  if (count <= 0) return;
  for (let i = 0; i < count; i++) answer(r, waiting[i]!);
  r.unconfirmedReads = waiting.slice(count);
  r.confirmedReads += count;
}

/** The term or role changed: nothing that waits here may be answered any more. */
export function failReads(r: RaftState): void {
  for (const read of r.forwardedReads) r.out.readsFailed.push(read.key);
  for (const read of r.earlyReads) if (read.from === r.id) r.out.readsFailed.push(read.key);
  for (const read of r.unconfirmedReads) if (read.from === r.id) r.out.readsFailed.push(read.key);
  r.forwardedReads = [];
  r.earlyReads = [];
  r.unconfirmedReads = [];
  r.confirmedReads = 0;
}

/** A forwarded read whose answer was lost is given up after one election timeout; the caller asks again with a new key. */
export function expireReads(r: RaftState): void {
  while (r.forwardedReads.length > 0 && r.forwardedReads[0]!.expires <= r.now) {
    r.out.readsFailed.push(r.forwardedReads.shift()!.key);
  }
}

function takeRead(r: RaftState, from: NodeId, key: number): boolean {
  if (r.earlyReads.length + r.unconfirmedReads.length >= r.options.limits.maxPendingReads) return false;
  if (committedInOwnTerm(r)) register(r, from, key);
  else r.earlyReads.push({ from, key, index: 0 });
  return true;
}

function register(r: RaftState, from: NodeId, key: number): void {
  r.unconfirmedReads.push({ from, key, index: r.log.committed });
  r.out.readRoundDue = true;
}

function answer(r: RaftState, read: WaitingRead): void {
  invariant(
    read.index <= r.log.committed && committedInOwnTerm(r),
    "A10 a read is answered by a leader that committed in its own term",
  );
  if (read.from === r.id) r.out.reads.push({ key: read.key, index: read.index });
  else r.send(read.from, { t: "readIndexResp", key: read.key, index: read.index });
}

/** Before that, this leader may not know of everything its predecessors committed. */
function committedInOwnTerm(r: RaftState): boolean {
  return r.log.term(r.log.committed) === r.term;
}
