/**
 * What a member owes others, and may not keep to itself while it lives and runs: word that a leader's term is over, an answer to
 * those who asked it while it led, a question to a follower that it has no answer of. And it has to go by what it was told: what
 * those who ask it for its vote, or answer, know to be committed.
 */
import type { EntryId, Envelope, Membership, Msg, NodeId } from "@aether/raft/types";
import type { Running, SimNode } from "../cluster/node.ts";
import type { Process } from "../world/world.ts";
import { hold } from "./violation.ts";

/** Looks that find a member at work, with nothing under way on its disk, until what it owes has to be paid. */
const looksMax = 8;
/** A member that leads no more tells its callers within 2 s of its own clock, which may run 30 % slow. */
const answerMs = 4_000;

interface Due {
  looks: number;
  /** It is owed only from when there was reason for it once more, some looks later. */
  once: boolean;
  /** Paid, or no reason any more. */
  readonly paid: () => boolean;
  readonly rule: string;
  readonly why: () => string;
}

export interface OpenCall {
  readonly by: Process;
  readonly since: number;
  readonly type: string;
  /** Asked of the member itself, which sends it on to nobody. */
  readonly direct: boolean;
}

const isMember = ({ voters, outgoing, learners }: Membership, id: NodeId): boolean =>
  [voters, outgoing, learners].some((ids) => ids.includes(id));

type OfElection = Extract<Msg, { t: "vote" | "preVote" | "voteResp" | "preVoteResp" }>;
const isOfElection = (m: Msg): m is OfElection =>
  m.t === "vote" || m.t === "preVote" || m.t === "voteResp" || m.t === "preVoteResp";

export class Owed {
  /** By process; who dies owes nothing. */
  readonly #due = new WeakMap<object, Map<string, Due>>();
  /** Since when each process has been seen to run and not to lead. */
  readonly #following = new WeakMap<object, number>();

  /** Sees every message as it reaches a process that takes part. */
  arrives(node: SimNode, running: Running, { from, term, m }: Envelope): void {
    const { role } = running.store;
    if ((m.t === "app" || m.t === "hb") && term < role.term) this.#mustTell(node, running, from, term);
    // A candidate may be leader by the time it comes to this, if votes have come before it.
    const leads = role.state === "leader" || role.state === "candidate";
    if (isOfElection(m) && !leads) this.#mustKnow(node, running, from, m.commit);
    if (m.t === "hbResp" && role.state === "leader" && role.term === term) this.#mustAsk(node, running, from);
  }

  /** Sees every message as it is sent. */
  sends(process: object | null | undefined, { to, m }: Envelope): void {
    const dues = process ? this.#due.get(process) : undefined;
    dues?.delete(`stale ${to}`);
    if (m.t === "app") dues?.delete(`ask ${to}`);
  }

  /** Who leads goes by its own count, also of what reached it before its votes did. */
  leads(process: object | null): void {
    const dues = process === null ? undefined : this.#due.get(process);
    for (const name of dues?.keys() ?? []) if (name.startsWith("commit ")) dues?.delete(name);
  }

  /** Now and then. */
  look(nodes: readonly SimNode[], calls: Iterable<OpenCall>, now: number): void {
    for (const node of nodes) {
      const { process, running } = node;
      if (process === null || running === null || process.paused) {
        if (process !== null) this.#following.delete(process);
        continue;
      }
      if (running.store.role.state === "leader") this.#following.delete(process);
      else if (!this.#following.has(process)) this.#following.set(process, now);
      if (!node.diskIsBusy) this.#count(process);
    }
    for (const { by, since, type, direct } of calls) {
      const following = this.#following.get(by);
      const late = by.alive && direct && following !== undefined && now - Math.max(since, following) > answerMs;
      hold(
        !late,
        "who leads no more leaves nobody waiting",
        () => `${by.name} owes ${type} of ${(since / 1000).toFixed(3)} s an answer`,
      );
    }
  }

  /** Or that leader never reaches a member which is ahead of it. Who was removed is told that, once, and nothing it says counts. */
  #mustTell(node: SimNode, { member, driver }: Running, from: NodeId, term: number): void {
    if (!isMember(driver.status().membership, from)) return;
    const why = (): string => `member ${member} has heard ${from} of term ${term}, and says nothing`;
    // One answer is let go when the member's own term ends in the same turn.
    this.#owe(node, `stale ${from}`, {
      looks: 0,
      once: true,
      paid: () => false,
      rule: "a leader of an older term is told so",
      why,
    });
  }

  /** Or an answer that was lost is never found missing. */
  #mustAsk(node: SimNode, { member, driver, storage }: Running, from: NodeId): void {
    const { last } = driver.status();
    const paid = (): boolean => {
      const { role, progress } = driver.status();
      const peer = progress.get(from);
      if (role.state !== "leader" || peer === undefined || peer.match >= last.index) return true;
      // One that lacks what is compacted is offered a snapshot instead, again and again.
      return peer.state === "snapshot" || peer.next < storage.view.first();
    };
    const why = (): string => `member ${member} hears ${from}, which has not confirmed ${last.index}, and asks nothing`;
    const rule = "a follower that is heard is asked for what it has not confirmed";
    // An append that asks the same may have left just before.
    if (!paid()) this.#owe(node, `ask ${from}`, { looks: 0, once: true, paid, rule, why });
  }

  /** Or it may ask a quorum that is no more, for ever; or not stand, as a learner that it is no longer. */
  #mustKnow(node: SimNode, { member, driver, storage }: Running, from: NodeId, { index, term }: EntryId): void {
    if (storage.view.term(index) !== term || !isMember(driver.status().membership, from)) return;
    const paid = (): boolean => driver.status().hard.commit >= index || driver.status().role.state === "leader";
    const why = (): string =>
      `member ${member} was told by ${from} that ${index}/${term} is committed, and knows of ${driver.status().hard.commit}`;
    this.#owe(node, `commit ${index}`, {
      looks: 0,
      once: false,
      paid,
      rule: "a commit is learned from who asks for votes, or is asked",
      why,
    });
  }

  #owe({ process }: SimNode, name: string, due: Due): void {
    if (process === null) return;
    let dues = this.#due.get(process);
    if (dues === undefined) this.#due.set(process, (dues = new Map<string, Due>()));
    const known = dues.get(name);
    if (known === undefined) dues.set(name, due);
    else if (known.once && known.looks > 0) Object.assign(known, { looks: 0, once: false });
  }

  #count(process: object): void {
    const dues = this.#due.get(process);
    for (const [name, due] of dues ?? []) {
      due.looks += 1;
      if (due.paid()) dues?.delete(name);
      else hold(due.once || due.looks < looksMax, due.rule, due.why);
    }
  }
}
