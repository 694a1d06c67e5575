import { invariant } from "../errors.ts";
import type { AppendBatch, HardState, Ready } from "../types.ts";
import { sendDue } from "./sending.ts";
import { logSlice } from "./slice.ts";
import { emptyOutbox, type RaftState } from "./state.ts";

/** Whether {@link collect} would have anything to tell. */
export function hasNews(r: RaftState): boolean {
  const { out } = r;
  return (
    out.send.length > 0 ||
    out.thenSend.length > 0 ||
    out.appendsDue ||
    out.readRoundDue ||
    out.reads.length > 0 ||
    out.readsFailed.length > 0 ||
    out.snapshotTo.length > 0 ||
    out.dropped.length > 0 ||
    r.log.unstable.hasNext() ||
    mustPersistHard(r) ||
    roleChanged(r) ||
    r.log.hasNextApply()
  );
}

/** Hands out everything there is to do, once. */
export function collect(r: RaftState): Ready {
  sendDue(r);
  // Before the batch: this may find a membership change whose commit must be made durable first.
  const apply = r.log.nextApply();
  const append = nextBatch(r);
  const { send, reads, readsFailed, snapshotTo, dropped } = r.out;
  const role = roleChanged(r) ? { state: r.state, term: r.term, leader: r.leader } : null;
  if (role !== null) r.toldRole = role;
  r.out = { ...emptyOutbox(), appendsDue: r.out.appendsDue };
  return { send, append, apply, reads, readsFailed, role, snapshotTo, dropped };
}

/**
 * One durable write, or null when there is nothing to write nor to hold back. Its `last` always names the newest entry of
 * the log, also when this write has none: after a change of term only a write of the new term may confirm older entries.
 */
function nextBatch(r: RaftState): AppendBatch | null {
  const { log, out } = r;
  const { unstable } = log;
  const persistHard = mustPersistHard(r);
  if (!unstable.hasNext() && !persistHard && out.thenSend.length === 0) return null;
  const snap = unstable.nextSnap();
  const entries = unstable.nextEntries();
  const writes = entries.length > 0 || snap !== null || persistHard;
  const prevIndex = unstable.inProgress - 1;
  const slice = entries.length === 0 ? null : logSlice(r.term, { term: log.knownTerm(prevIndex), index: prevIndex }, entries);
  unstable.acceptInProgress();
  const last = log.last();
  for (const { m } of out.thenSend) {
    if (m.t === "appResp" && m.reject === null)
      invariant(m.index <= last.index, "A8 an ack names nothing beyond the write it waits for");
  }
  // The commit index alone is worth a write only for a membership change; else it rides along with the next one.
  const hard = writes ? hardOf(r) : null;
  const token = ++r.token;
  if (hard !== null) {
    r.toldHard = hard;
    r.commitsInFlight.push({ token, commit: hard.commit });
  }
  return { token, term: r.term, hard, slice, snap, last, sync: writes, thenSend: out.thenSend };
}

function hardOf(r: RaftState): HardState {
  return { term: r.term, vote: r.vote, commit: r.log.committed };
}

function mustPersistHard(r: RaftState): boolean {
  return r.term !== r.toldHard.term || r.vote !== r.toldHard.vote || r.log.heldConfig > r.toldHard.commit;
}

function roleChanged(r: RaftState): boolean {
  const { toldRole } = r;
  return toldRole.state !== r.state || toldRole.term !== r.term || toldRole.leader !== r.leader;
}
