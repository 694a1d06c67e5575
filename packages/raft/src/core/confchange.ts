import type { Change, Membership, NodeId } from "../types.ts";

/** A changed membership, or why the change does not apply to the one given. */
export type Changed = Membership | { readonly reason: string };

export const emptyMembership: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

export function isJoint(m: Membership): boolean {
  return m.outgoing.length > 0;
}

/** Whether `id` takes any part, including one that is on its way out of a joint membership. */
export function isMember(m: Membership, id: NodeId): boolean {
  return m.voters.includes(id) || m.outgoing.includes(id) || m.learners.includes(id);
}

/** Every id that takes part, ascending, each once. */
export function memberIds(m: Membership): NodeId[] {
  return [...new Set([...m.voters, ...m.outgoing, ...m.learners])].sort(ascending);
}

/** At most one voter differs afterwards: old and new majorities then overlap, so no joint step is needed. */
export function changeSimply(m: Membership, changes: readonly Change[]): Changed {
  if (isJoint(m)) return { reason: "a simple change while a joint one is under way" };
  const draft = draftOf(m);
  edit(draft, changes);
  if (draft.voters.size === 0) return { reason: "no voter would be left" };
  if (votersThatDiffer(m.voters, draft.voters) > 1) return { reason: "more than one voter changes without a joint step" };
  return finish(draft);
}

/** The first voters of a cluster, put into an empty membership by entry 1 of its log; there is no older majority to overlap with. */
export function changeFromNothing(m: Membership, changes: readonly Change[]): Changed {
  if (memberIds(m).length > 0) return { reason: "the membership is not empty" };
  const draft = draftOf(m);
  edit(draft, changes);
  if (draft.voters.size === 0) return { reason: "no voter would be left" };
  return finish(draft);
}

/** Both the old majority (`outgoing`) and the new one decide until {@link leaveJoint}. */
export function enterJoint(m: Membership, autoLeave: boolean, changes: readonly Change[]): Changed {
  if (isJoint(m)) return { reason: "a joint change is under way already" };
  if (m.voters.length === 0) return { reason: "a membership without voters cannot become joint" };
  const draft = draftOf(m);
  draft.outgoing = new Set(m.voters);
  edit(draft, changes);
  if (draft.voters.size === 0) return { reason: "no voter would be left" };
  draft.autoLeave = autoLeave;
  return finish(draft);
}

/** The new majority alone decides from here; outgoing voters that were to become learners do so now. */
export function leaveJoint(m: Membership): Changed {
  if (!isJoint(m)) return { reason: "no joint change is under way" };
  const draft = draftOf(m);
  for (const id of draft.learnersNext) draft.learners.add(id);
  draft.learnersNext.clear();
  draft.outgoing.clear();
  draft.autoLeave = false;
  return finish(draft);
}

/** Rule A11 for one membership: null when it holds, else what is wrong. */
export function membershipDefect(m: Membership): string | null {
  if (m.learners.some((id) => m.voters.includes(id) || m.outgoing.includes(id))) return "a learner is also a voter";
  if (m.learnersNext.some((id) => !m.outgoing.includes(id))) return "a future learner is no outgoing voter";
  if (m.learnersNext.some((id) => m.voters.includes(id))) return "a future learner is an incoming voter";
  if (!isJoint(m) && m.autoLeave) return "nothing to leave by itself";
  if (isJoint(m) && m.voters.length === 0) return "a joint membership without incoming voters";
  return null;
}

/** Equal as sets, whatever the order of the lists. */
export function sameMembership(a: Membership, b: Membership): boolean {
  return (
    sameIds(a.voters, b.voters) &&
    sameIds(a.outgoing, b.outgoing) &&
    sameIds(a.learners, b.learners) &&
    sameIds(a.learnersNext, b.learnersNext) &&
    a.autoLeave === b.autoLeave
  );
}

interface Draft {
  readonly voters: Set<NodeId>;
  outgoing: Set<NodeId>;
  readonly learners: Set<NodeId>;
  readonly learnersNext: Set<NodeId>;
  autoLeave: boolean;
}

function draftOf(m: Membership): Draft {
  return {
    voters: new Set(m.voters),
    outgoing: new Set(m.outgoing),
    learners: new Set(m.learners),
    learnersNext: new Set(m.learnersNext),
    autoLeave: m.autoLeave,
  };
}

/** Id 0 is "none" and changes nothing. */
function edit(draft: Draft, changes: readonly Change[]): void {
  for (const { op, id } of changes) {
    if (id === 0) continue;
    if (op === "addVoter") {
      draft.learners.delete(id);
      draft.learnersNext.delete(id);
      draft.voters.add(id);
    } else if (op === "remove") {
      draft.voters.delete(id);
      draft.learners.delete(id);
      draft.learnersNext.delete(id);
    } else if (!draft.learners.has(id)) {
      draft.voters.delete(id);
      // A voter of the outgoing majority stays one until the joint change is left, so it cannot be a learner yet.
      (draft.outgoing.has(id) ? draft.learnersNext : draft.learners).add(id);
    }
  }
}

function finish(draft: Draft): Changed {
  const m: Membership = {
    voters: sorted(draft.voters),
    outgoing: sorted(draft.outgoing),
    learners: sorted(draft.learners),
    learnersNext: sorted(draft.learnersNext),
    autoLeave: draft.autoLeave,
  };
  const defect = membershipDefect(m);
  return defect === null ? m : { reason: defect };
}

function votersThatDiffer(before: readonly NodeId[], after: ReadonlySet<NodeId>): number {
  const kept = before.filter((id) => after.has(id)).length;
  return before.length - kept + (after.size - kept);
}

function sameIds(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

function sorted(ids: ReadonlySet<NodeId>): NodeId[] {
  return [...ids].sort(ascending);
}

function ascending(a: number, b: number): number {
  return a - b;
}
