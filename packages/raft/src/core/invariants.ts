import { Broken, invariant } from "../errors.ts";
import type { Index, NodeId, Term } from "../types.ts";
import { memberIds } from "./confchange.ts";
import type { RaftState } from "./state.ts";

/** What rule A2 compares: numbers that never go back, and the vote, which stands within its term. */
export interface Marks {
  term: Term;
  vote: NodeId;
  committed: Index;
  applied: Index;
  last: Index;
  leading: boolean;
}

export function marksOf(r: RaftState): Marks {
  return {
    term: r.term,
    vote: r.vote,
    committed: r.log.committed,
    applied: r.log.applied,
    last: r.log.lastIndex(),
    leading: r.state === "leader",
  };
}

/** The rules that hold after every step, whatever it was. Constant cost; updates `marks` to the state checked. */
export function checkStep(r: RaftState, marks: Marks): void {
  const { log } = r;
  const last = log.lastIndex();
  invariant(
    r.term >= marks.term && log.committed >= marks.committed && log.applied >= marks.applied,
    "A2 term, commit and applied never go back",
  );
  invariant(r.term !== marks.term || marks.vote === 0 || r.vote === marks.vote, "A2 the vote of a term stands");
  invariant(log.applied <= log.applying && log.applying <= log.committed, "A9 only what is committed is applied");
  invariant(log.committed <= last, "A1 commit lies within the log");
  if (r.state === "leader" && marks.leading && marks.term === r.term) {
    invariant(last >= marks.last, "A5 a leader only appends to its log");
    const counted = log.committed === marks.committed || log.term(log.committed) === r.term;
    invariant(counted, "A6 a leader commits by counting only in its own term");
  }
  invariant(r.forwardedReads.length <= r.options.limits.maxPendingReads, "A14 waiting reads stay within their limit");
  for (const peer of r.tracker.peers) {
    invariant(peer.match < peer.next, "A7 match is below next");
    if (r.state === "leader") invariant(peer.match <= last, `A7 member ${peer.id} has acknowledged no more than the leader has`);
  }
  marks.term = r.term;
  marks.vote = r.vote;
  marks.committed = log.committed;
  marks.applied = log.applied;
  marks.last = last;
  marks.leading = r.state === "leader";
}

/** The costly rules, for tests and the simulator: they read the whole log's terms. */
export function checkWhole(r: RaftState): void {
  const { log } = r;
  let below = log.knownTerm(log.firstIndex() - 1);
  for (let i = log.firstIndex(); i <= log.lastIndex(); i++) {
    const term = log.knownTerm(i);
    if (term < below || term > r.term)
      throw new Broken(`A1 terms never fall along the log: ${term} at ${i} after ${below}, in term ${r.term}`);
    below = term;
  }
  const ids = memberIds(r.membership());
  invariant(
    ids.length === r.tracker.peers.length && r.tracker.peers.every((p, i) => p.id === ids[i]),
    "A11 progress is kept for each member",
  );
}
