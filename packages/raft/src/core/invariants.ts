import { Broken, invariant } from "../errors.ts";
import type { Index, Membership, NodeId, Term } from "../types.ts";
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

/** Steps at most between two looks at a log that seems untouched. */
const stepsBetweenLooks = 256;

/**
 * The costly rules, for tests and the simulator: they read the whole log's terms. Two logs with the same last entry are the
 * same log, so one whose ends have not moved is looked through again only now and then.
 */
export class WholeChecks {
  private first: Index = -1;
  private last: Index = -1;
  private lastTerm: Term = -1;
  private stored: Index = -1;
  private peers: RaftState["tracker"]["peers"] | null = null;
  private membership: Membership | null = null;
  private untilLook = 0;

  check(r: RaftState): void {
    const { log } = r;
    const last = log.lastIndex();
    const first = log.firstIndex();
    const lastTerm = log.knownTerm(last);
    const stored = log.durableIndex();
    this.untilLook -= 1;
    const moved = first !== this.first || last !== this.last || lastTerm !== this.lastTerm || stored !== this.stored;
    if (moved || this.untilLook <= 0) {
      checkTerms(r);
      this.untilLook = stepsBetweenLooks;
    } else if (lastTerm > r.term) throw new Broken(`A1 the log's last term ${lastTerm} is not above the term ${r.term}`);
    if (r.tracker.peers !== this.peers || r.membership() !== this.membership) checkPeers(r);
    this.first = first;
    this.last = last;
    this.lastTerm = lastTerm;
    this.stored = stored;
    this.peers = r.tracker.peers;
    this.membership = r.membership();
  }
}

function checkTerms(r: RaftState): void {
  const { log } = r;
  let below = log.knownTerm(log.firstIndex() - 1);
  for (let i = log.firstIndex(); i <= log.lastIndex(); i++) {
    const term = log.knownTerm(i);
    if (term < below || term > r.term)
      throw new Broken(`A1 terms never fall along the log: ${term} at ${i} after ${below}, in term ${r.term}`);
    below = term;
  }
}

function checkPeers(r: RaftState): void {
  const ids = memberIds(r.membership());
  invariant(
    ids.length === r.tracker.peers.length && r.tracker.peers.every((p, i) => p.id === ids[i]),
    "A11 progress is kept for each member",
  );
}
