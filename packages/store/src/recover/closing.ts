/** The entries that end an old cluster's log and begin the one that goes on from it. */
import { applyConfigChange, encodeConfigChange } from "@aether/raft/config-change";
import { invariant } from "@aether/raft/errors";
import {
  type Change,
  type ConfigChange,
  type Entry,
  type EntryId,
  Kind,
  type Membership,
  type NodeId,
  type Term,
} from "@aether/raft/types";

const none = new Uint8Array(0);
const leaving: ConfigChange = { changes: [], transition: "auto", leave: true, context: none };

export interface Closing {
  readonly entries: readonly Entry[];
  /** After the last of them: the one voter and nobody else. */
  readonly membership: Membership;
}

/**
 * Membership changes that lead from `now`, whatever it is, to `member` alone, and then one entry with `events` (an encoded payload).
 * They are ordinary entries of `term`, after `last`: whoever applies the log from its beginning comes to the same membership, though no
 * quorum of the old members ever agreed to it.
 */
export function closingEntries(now: Membership, member: NodeId, last: EntryId, term: Term, events: Uint8Array): Closing {
  invariant(term > last.term, "what closes a log is of a later term than all before it");
  let membership = now;
  const entries: Entry[] = [];
  const add = (kind: Kind, data: Uint8Array): void => {
    entries.push({ term, index: last.index + entries.length + 1, kind, data });
  };
  const change = (c: ConfigChange): void => {
    const next = applyConfigChange(membership, c);
    invariant(!("reason" in next), `a recovery changes the membership${"reason" in next ? `: ${next.reason}` : ""}`);
    membership = next;
    add(Kind.config, encodeConfigChange(c));
  };
  if (membership.outgoing.length > 0) change(leaving);
  const others = [...new Set([...membership.voters, ...membership.learners])].filter((id) => id !== member);
  const removals = others.toSorted((a, b) => a - b).map((id): Change => ({ op: "remove", id }));
  change({ changes: [{ op: "addVoter", id: member }, ...removals], transition: "joint", leave: false, context: none });
  change(leaving);
  add(Kind.normal, events);
  const { voters, outgoing, learners, learnersNext } = membership;
  const alone = voters.length === 1 && voters[0] === member && outgoing.length + learners.length + learnersNext.length === 0;
  invariant(alone, `member ${member} is alone after a recovery`);
  return { entries, membership };
}
