import type { Envelope, Membership, NodeId } from "@aether/raft/types";
import { isQuorum } from "./history.ts";
import { hold } from "./violation.ts";

/**
 * Nobody begins a term on a mere suspicion: whoever asks for votes was granted pre-votes by a quorum, or was told to by the leader
 * that hands over to it. Otherwise a hint that a leader is gone, which may be wrong, would depose one that works. And nobody leads
 * without the votes of a quorum, of both halves where the membership is joint, or votes twice in a term, or stands in one again
 * after a restart, perhaps with a shorter log than the one that was voted for.
 */
export class Candidacies {
  /** Who granted a pre-vote, by "candidate/term". */
  readonly #granted = new Map<string, Set<NodeId>>();
  /**
   * The memberships when a candidate asked for pre-votes, by "candidate/term". It asks for votes when its own term is durable, which on a
   * slow disk can be after the membership changed; late as they then are, they are what it was chosen for.
   */
  readonly #asked = new Map<string, readonly Membership[]>();
  /** Who was told to take over, as "candidate/term". */
  readonly #told = new Set<string>();

  /** Who voted, by "candidate/term". */
  readonly #votes = new Map<string, Set<NodeId>>();
  /** Whom each member voted for, by "member/term", over all its restarts. */
  readonly #ballots = new Map<string, NodeId>();
  /** The process that asked for votes, by "candidate/term". */
  readonly #stood = new Map<string, unknown>();

  /**
   * Sees every message of the life as it is sent, and the process that sends it; `memberships` are those that may be in force at the
   * candidate.
   */
  sends({ from, to, term, m }: Envelope, memberships: () => readonly Membership[], process: unknown = null): void {
    if (m.t === "timeoutNow") this.#told.add(`${to}/${term + 1}`);
    else if (m.t === "preVote") this.#asked.set(`${from}/${term}`, memberships());
    else if (m.t === "preVoteResp" && m.granted) {
      const name = `${to}/${term}`;
      const granted = this.#granted.get(name) ?? new Set([to]);
      this.#granted.set(name, granted.add(from));
    } else if (m.t === "voteResp" && m.granted) {
      const name = `${to}/${term}`;
      const votes = this.#votes.get(name) ?? new Set([to]);
      this.#votes.set(name, votes.add(from));
      const ballot = `${from}/${term}`;
      const earlier = this.#ballots.get(ballot) ?? to;
      hold(earlier === to, "one vote a term", () => `member ${from} votes for ${earlier} and for ${to} in term ${term}`);
      this.#ballots.set(ballot, to);
    } else if (m.t === "vote") {
      const granted = this.#granted.get(`${from}/${term}`) ?? new Set([from]);
      const chosen = m.transfer
        ? this.#told.has(`${from}/${term}`)
        : [...memberships(), ...(this.#asked.get(`${from}/${term}`) ?? [])].some((membership) =>
            isQuorum(membership, (id) => granted.has(id)),
          );
      const why = (): string =>
        `member ${from} asks for votes in term ${term}, ${m.transfer ? "and nobody handed over to it" : `pre-voted by ${[...granted].join()} only`}`;
      hold(chosen, "a term begins with pre-votes or a transfer", why);
      const stood = this.#stood.get(`${from}/${term}`) ?? process;
      hold(
        stood === process,
        "nobody stands in a term twice",
        () => `member ${from} stands in term ${term} again after a restart`,
      );
      this.#stood.set(`${from}/${term}`, process);
    }
  }
  /** Member `id` begins to lead `term`, with this membership in force there: one that was to come might ask others. */
  leads(id: NodeId, term: number, membership: Membership): void {
    const votes = this.#votes.get(`${id}/${term}`) ?? new Set([id]);
    const why = (): string => {
      const { voters, outgoing } = membership;
      return `member ${id} leads term ${term} by the votes of ${[...votes].join()}; voters ${voters.join()} outgoing ${outgoing.join()}`;
    };
    hold(
      isQuorum(membership, (one) => votes.has(one)),
      "a leader has the votes of a quorum",
      why,
    );
  }
}
