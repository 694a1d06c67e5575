import { invariant } from "../errors.ts";
import { applyConfigChange } from "../config-change.ts";
import type { ConfigChange, Index, Membership, NodeId } from "../types.ts";
import { isMember, memberIds } from "./confchange.ts";
import { advanceReads } from "./reads.ts";
import { commitWhatQuorumHas } from "./replication.ts";
import { becomeFollower } from "./roles.ts";
import type { RaftState } from "./state.ts";

const rememberedRemovals = 1024;

/**
 * The config entry at `index` is reached in apply order: the membership switches here and now, on every member alike. A
 * change that does not apply to the membership it meets changes nothing anywhere.
 */
export function onConfigApplied(r: RaftState, index: Index, change: ConfigChange): void {
  // What a received snapshot already contains.
  if (index <= r.configFloor) return;
  invariant(index > r.log.applied && index <= r.log.applying, "A11 a change is applied once, in order, after it was handed out");
  r.configFloor = index;
  const next = applyConfigChange(r.membership(), change);
  if (!("reason" in next)) switchMembership(r, next);
}

/** Puts `next` in force. A leader that is no voter any more steps down; one that stays counts and sends anew. */
export function switchMembership(r: RaftState, next: Membership): void {
  const before = memberIds(r.membership());
  r.tracker.switchTo(next, r.log.lastIndex());
  rememberRemoved(r, before, next);
  if (r.state !== "leader") return;
  const self = r.tracker.find(r.id);
  if (self === undefined || self.learner) {
    becomeFollower(r, r.term, 0);
    return;
  }
  commitWhatQuorumHas(r);
  r.out.appendsDue = true;
  const transferee = r.tracker.find(r.transferee);
  if (transferee === undefined || transferee.learner) r.transferee = 0;
  advanceReads(r);
}

/** A sender that an applied change removed is told once; nothing it says counts. True when the message ends here. */
export function answerRemoved(r: RaftState, from: NodeId): boolean {
  const told = r.removed.get(from);
  if (told === undefined) return false;
  if (!told) {
    r.removed.set(from, true);
    r.send(from, { t: "removed" });
  }
  return true;
}

/** A member that has applied it says this one was removed: ids are never used again, so this one never campaigns again. */
export function onRemoved(r: RaftState): void {
  r.selfRemoved = true;
  if (r.state !== "follower") becomeFollower(r, r.term, 0);
}

function rememberRemoved(r: RaftState, before: readonly NodeId[], next: Membership): void {
  for (const id of memberIds(next)) r.removed.delete(id);
  for (const id of before) if (id !== r.id && !isMember(next, id)) r.removed.set(id, false);
  while (r.removed.size > rememberedRemovals) r.removed.delete(r.removed.keys().next().value!);
}
