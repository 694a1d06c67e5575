import type { Envelope, Membership, NodeId } from "@aether/raft/types";
import { hold, isQuorum } from "./history.ts";

/**
 * Nobody begins a term on a mere suspicion: whoever asks for votes was granted pre-votes by a quorum, or was told to by the leader
 * that hands over to it. Otherwise a hint that a leader is gone, which may be wrong, would depose one that works.
 */
export class Candidacies {
  /** Who granted a pre-vote, by "candidate/term". */
  readonly #granted = new Map<string, Set<NodeId>>();
  /** Who was told to take over, as "candidate/term". */
  readonly #told = new Set<string>();

  /** Sees every message of the life as it is sent; `memberships` are those that may be in force at the candidate. */
  sends({ from, to, term, m }: Envelope, memberships: () => readonly Membership[]): void {
    if (m.t === "timeoutNow") this.#told.add(`${to}/${term + 1}`);
    else if (m.t === "preVoteResp" && m.granted) {
      const name = `${to}/${term}`;
      const granted = this.#granted.get(name) ?? new Set([to]);
      this.#granted.set(name, granted.add(from));
    } else if (m.t === "vote") {
      const granted = this.#granted.get(`${from}/${term}`) ?? new Set([from]);
      const chosen = m.transfer
        ? this.#told.has(`${from}/${term}`)
        : memberships().some((membership) => isQuorum(membership, (id) => granted.has(id)));
      const why = (): string =>
        `member ${from} asks for votes in term ${term}, ${m.transfer ? "and nobody handed over to it" : `pre-voted by ${[...granted].join()} only`}`;
      hold(chosen, "a term begins with pre-votes or a transfer", why);
    }
  }
}
