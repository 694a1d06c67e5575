import type { Envelope, Index, Membership, NodeId } from "@aether/raft/types";
import { isQuorum } from "./history.ts";
import { hold } from "./violation.ts";

/**
 * What a leader goes by was said to it in its own term, and after it asked: reads are answered on words that came later than the
 * read, under keys that mean one read only, and what is acknowledged counts in the term in which it was said.
 */
export class Answers {
  /** By "leader/term/position": when a heartbeat first asked to confirm so many reads. */
  readonly #asked = new Map<string, number>();
  /** By "leader/term": what each member has confirmed at most, as the time at which that was first asked. */
  readonly #confirmed = new Map<string, Map<NodeId, number>>();
  /** By "member/key": when a read was sent on to a leader. */
  readonly #reads = new Map<string, number>();
  /** By "leader/term/member": the last entry acknowledged. */
  readonly #acked = new Map<string, Index>();

  /** Sees every message of the life as it is sent; `memberships` are those that may be in force at the leader. */
  sends({ from, to, term, m }: Envelope, now: number, memberships: () => readonly Membership[]): void {
    if (m.t === "hb") {
      const name = `${from}/${term}/${m.readPos}`;
      if (!this.#asked.has(name)) this.#asked.set(name, now);
    } else if (m.t === "hbResp") {
      const leader = `${to}/${term}`;
      const confirmed = this.#confirmed.get(leader) ?? new Map<NodeId, number>();
      const asked = this.#asked.get(`${leader}/${m.readPos}`) ?? 0;
      this.#confirmed.set(leader, confirmed.set(from, Math.max(asked, confirmed.get(from) ?? 0)));
    } else if (m.t === "readIndex") {
      const name = `${from}/${m.key}`;
      hold(!this.#reads.has(name), "a read's key is used once", () => `member ${from} asks under ${m.key} again`);
      this.#reads.set(name, now);
    } else if (m.t === "readIndexResp")
      this.#answers(`${from}/${term}`, from, this.#reads.get(`${to}/${m.key}`) ?? 0, memberships);
    else if (m.t === "appResp" && m.reject === null) {
      const name = `${to}/${term}/${from}`;
      this.#acked.set(name, Math.max(m.index, this.#acked.get(name) ?? 0));
    }
  }

  /** The highest entry that `member` has acknowledged to the leader of this term, as far as anybody said so. */
  ackedTo(leader: NodeId, term: number, member: NodeId): Index {
    return this.#acked.get(`${leader}/${term}/${member}`) ?? 0;
  }

  /** `leader` refuses what reached it at `since`, in this term, with words that tell of a state: those are read as well. */
  refuses(leader: NodeId, term: number, since: number, memberships: () => readonly Membership[]): void {
    this.#answers(`${leader}/${term}`, leader, since, memberships);
  }

  #answers(leader: string, id: NodeId, since: number, memberships: () => readonly Membership[]): void {
    const confirmed = this.#confirmed.get(leader);
    const after = (one: NodeId): boolean => one === id || (confirmed?.get(one) ?? -1) >= since;
    const rule = "a read is answered on words that came after it";
    const why = (): string =>
      `${leader} answers one of ${since.toFixed(3)} ms, confirmed ${JSON.stringify([...(confirmed ?? [])])}`;
    hold(
      memberships().some((membership) => isQuorum(membership, after)),
      rule,
      why,
    );
  }
}
