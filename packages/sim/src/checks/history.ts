/**
 * The one true history of a life, gathered from all members as it happens. What contradicts it is a violation, thrown at
 * the step that did it. Nobody in the cluster sees any of this.
 */
import { hashOf } from "../world/stream.ts";
import { wrongChange } from "./changes.ts";
import { Restores } from "./restores.ts";
import { hold } from "./violation.ts";
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import { decodeEntry } from "@aether/store/events/entry-codec";
import {
  type AppendBatch,
  type Entry,
  type EntryId,
  type Index,
  Kind,
  type LogView,
  type Membership,
  type NodeId,
  type Role,
} from "@aether/raft/types";

interface Committed {
  readonly term: number;
  /** The newest term that had a leader when it was first applied: it was committed in this one or an earlier one. */
  readonly by: number;
  readonly content: number;
  readonly events: number;
  /** World time of the first member to apply it. */
  readonly appliedAt: number;
}

export class History {
  /** By index. */
  readonly committed = new Map<Index, Committed>();
  /** Where each request took effect, "client/id". */
  readonly effects = new Map<string, Index>();
  /** Entries about each thing, "noun/id", ascending. */
  readonly about = new Map<string, Index[]>();
  /** Requests whose only try was answered with a refusal that promises no effect, "client/id", and its reason. */
  readonly denied = new Map<string, string>();
  /** Highest index that any member has applied. */
  top: Index = 0;
  /** Highest index at which any leader was seen to send a membership change; beyond `top` it may still come to be. */
  newestChange: Index = 0;
  readonly restores = new Restores();
  /** Entries with events, in order. */
  readonly entries: { readonly events: readonly DomainEvent[]; readonly context: EventContext }[] = [];
  readonly counts = {
    elections: 0,
    applied: 0,
    digests: 0,
    compared: 0,
    restores: 0,
    durable: 0,
    recovered: 0,
    recoveredTails: 0,
  };
  readonly #leaders = new Map<number, NodeId>();
  #newestTerm = 0;
  /** By "index/term", whoever held it: content, the term before, and the entry itself. */
  readonly #entries = new Map<string, { readonly content: number; readonly prevTerm: number; readonly entry: Entry }>();
  /** Members that were ever seen to hold an entry durably, until it is applied somewhere. */
  readonly #holders = new Map<string, Set<NodeId>>();
  /** What each member has made durable, as the terms of the entries, and up to where all of it is committed. */
  readonly #terms = new Map<NodeId, Map<Index, number>>();
  readonly #kept = new Map<NodeId, Index>();
  readonly #digests = new Map<Index, { readonly digest: string; readonly by: NodeId }>();
  /** Memberships in the order they took effect, with the index of their entry. */
  readonly #memberships: { readonly index: Index; readonly membership: Membership }[] = [];

  leads(id: NodeId, { term, state }: Role): boolean {
    if (state !== "leader") return false;
    const known = this.#leaders.get(term);
    hold(known === undefined || known === id, "one leader per term", () => `members ${known} and ${id} both lead term ${term}`);
    if (known === id) return false;
    this.#leaders.set(term, id);
    this.#newestTerm = Math.max(this.#newestTerm, term);
    this.counts.elections += 1;
    return true;
  }

  /** Leader completeness: whoever leads `term` holds all that was committed in terms before, also if it hears late that it leads. */
  leaderHolds(id: NodeId, term: number, last: Index): void {
    let newest = this.top;
    while (newest > 0 && (this.committed.get(newest)?.by ?? 0) >= term) newest -= 1;
    const lacks = (): string => `member ${id} leads term ${term} with a log to ${last}; ${newest} was committed before`;
    hold(last >= newest, "leaders hold all that is committed", lacks);
  }

  sendsChange(index: Index): void {
    this.newestChange = Math.max(this.newestChange, index);
  }

  /** Member `id` holds these durably. */
  durable(id: NodeId, batches: readonly AppendBatch[]): void {
    for (const { slice, snap } of batches) {
      if (snap !== null) this.standsOn(id, snap.id.index);
      if (slice === null) continue;
      let { term } = slice.prev;
      for (const entry of slice.entries) {
        this.holds(id, entry, term);
        ({ term } = entry);
      }
    }
  }

  /**
   * Member `id` begins to write these: what they take the place of is not there any more, though what becomes of the write is
   * unknown for a while. Whether it might be taken away shows in {@link keeps}.
   */
  replaces(id: NodeId, batches: readonly AppendBatch[]): void {
    const terms = this.#terms.get(id);
    if (terms === undefined) return;
    for (const { slice } of batches) {
      const from = slice?.entries.find(({ index, term }) => terms.get(index) !== term)?.index;
      for (let index = from; index !== undefined && terms.delete(index);) index += 1;
    }
  }

  /** A snapshot at `index` stands for what member `id` once held before it. */
  standsOn(id: NodeId, index: Index): void {
    this.#kept.set(id, Math.max(index, this.#kept.get(id) ?? 0));
  }

  /**
   * What was durable at member `id`, and it knows to be committed, is there still. An entry that others have committed since may yet be cut
   * by what an older leader had sent before.
   */
  keeps(id: NodeId, view: LogView, commit: Index): void {
    const terms = this.#terms.get(id);
    let kept = this.#kept.get(id) ?? 0;
    while (kept < Math.min(this.top, commit) && terms?.get(kept + 1) === this.committed.get(kept + 1)?.term) kept += 1;
    this.#kept.set(id, kept);
    const [term, there] = [this.committed.get(kept)?.term, view.term(kept)];
    const whole = term === undefined || there === "compacted" || there === term;
    hold(
      whole,
      "what is committed stays where it was durable",
      () => `member ${id} held ${kept}/${term}, and has ${there} there`,
    );
  }

  holds(id: NodeId, entry: Entry, prevTerm: number): void {
    const name = `${entry.index}/${entry.term}`;
    const content = contentOf(entry);
    const known = this.#entries.get(name);
    if (known === undefined) this.#entries.set(name, { content, prevTerm, entry });
    else {
      const same = known.content === content && known.prevTerm === prevTerm;
      hold(same, "log matching", () => `member ${id} holds another entry ${entry.index} of term ${entry.term} than others`);
    }
    this.counts.durable += 1;
    const terms = this.#terms.get(id) ?? new Map<Index, number>();
    this.#terms.set(id, terms.set(entry.index, entry.term));
    if (entry.index <= this.top) return;
    const holders = this.#holders.get(name);
    if (holders === undefined) this.#holders.set(name, new Set([id]));
    else holders.add(id);
  }

  /** The one log that ends with this entry, from entry 1 on, committed or not. */
  logTo({ index, term }: EntryId): readonly Entry[] {
    const log: Entry[] = [];
    for (let [at, of] = [index, term]; at > 0; at--) {
      const known = this.#entries.get(`${at}/${of}`);
      hold(known !== undefined, "every entry was seen to be written", () => `nobody wrote ${at}/${of}`);
      log.push(known.entry);
      of = known.prevTerm;
    }
    return log.toReversed();
  }

  /** Member `id` applies these, the last of them with this membership in force, and what its own log holds durably. */
  applies(
    id: NodeId,
    entries: readonly Entry[],
    { membership, log, now }: { readonly membership: Membership; readonly log: LogView; readonly now: number },
  ): void {
    for (const entry of entries) {
      const there = log.term(entry.index);
      const here = there === entry.term || there === "compacted";
      const unwritten = (): string => `member ${id} applies ${entry.index}/${entry.term}, its disk has ${there} there`;
      hold(here, "only what is durable is applied", unwritten);
      this.counts.applied += 1;
      const known = this.committed.get(entry.index);
      const content = contentOf(entry);
      if (known !== undefined) {
        const same = known.term === entry.term && known.content === content;
        hold(
          same,
          "committed entries never change",
          () => `member ${id} applies another entry ${entry.index} (term ${entry.term})`,
        );
        continue;
      }
      hold(
        entry.index === this.top + 1,
        "no entry is skipped",
        () => `member ${id} applies ${entry.index} first, after ${this.top}`,
      );
      this.#checkQuorum(id, entry, membership);
      this.top = entry.index;
      if (entry.kind === Kind.config) this.#changes(entry, membership);
      const made = { term: entry.term, by: this.#newestTerm, content };
      this.committed.set(entry.index, { ...made, events: this.#takeEffect(entry), appliedAt: now });
    }
  }

  /** `digest` is the state's after `index`, at member `id`. */
  digest(id: NodeId, index: Index, digest: string): void {
    this.counts.digests += 1;
    const known = this.#digests.get(index);
    if (known === undefined) this.#digests.set(index, { digest, by: id });
    else {
      if (known.by !== id) this.counts.compared += 1;
      const { by } = known;
      hold(known.digest === digest, "equal state digests", () => `members ${by} and ${id} differ at entry ${index}`);
    }
  }

  /** The last two that were applied by anybody, and the one before them. */
  latestMemberships(): readonly Membership[] {
    return this.#memberships.slice(-3).map((one) => one.membership);
  }

  /** Nobody may decide after a change without somebody who could have decided before it. */
  #changes(entry: Entry, membership: Membership): void {
    const { index } = entry;
    const before = this.#memberships.at(-1)?.membership;
    const lists = ({ voters, outgoing }: Membership): string => `voters ${voters.join()} outgoing ${outgoing.join()}`;
    const why = (): string =>
      `entry ${index} changes ${before === undefined ? "nothing" : lists(before)} to ${lists(membership)}`;
    hold(before === undefined || quorumsMeet(before, membership), "quorums meet over a change", why);
    const wrong = before === undefined ? null : wrongChange(before, entry, membership);
    hold(wrong === null, "a change does what it says", () => wrong ?? "");
    this.#memberships.push({ index, membership });
  }

  /** The commit rule lags one membership at most: a change is proposed only when the last is applied. */
  #checkQuorum(id: NodeId, entry: Entry, membership: Membership): void {
    const holders = this.#holders.get(`${entry.index}/${entry.term}`) ?? new Set<NodeId>();
    this.#holders.delete(`${entry.index}/${entry.term}`);
    // The leader counted before it applied: by the newest membership, or the one before.
    const before = this.#memberships.slice(-2).map((one) => one.membership);
    const counted = before.length === 0 ? [membership] : before;
    const ok = counted.some((one) => isQuorum(one, (member) => holders.has(member)));
    const names = (): string => `${id} applies ${entry.index}/${entry.term}, durable on ${[...holders].join() || "nobody"} only`;
    hold(ok, "committed entries are on a quorum's disks", names);
  }

  #takeEffect(entry: Entry): number {
    if (entry.kind !== Kind.normal) return 0;
    const { request, events, at, actor } = decodeEntry(entry.data);
    if (request !== null) {
      const name = `${request.client}/${request.id}`;
      const earlier = this.effects.get(name);
      hold(
        earlier === undefined,
        "one effect per request",
        () => `request ${name} took effect at ${earlier} and at ${entry.index}`,
      );
      const denial = this.denied.get(name);
      const late = (): string => `${name} was refused as ${denial}, and takes effect at ${entry.index}`;
      hold(denial === undefined, "what is refused has no effect", late);
      this.effects.set(name, entry.index);
    }
    const context = { index: entry.index, at, actor };
    this.entries.push({ events, context });
    for (const thing of this.restores.takes(events, context, this.about)) {
      const indexes = this.about.get(thing);
      if (indexes === undefined) this.about.set(thing, [entry.index]);
      else if (indexes.at(-1) !== entry.index) indexes.push(entry.index);
    }
    return events.length;
  }
}

/** Do those for whom `has` holds form a quorum of this membership, in both halves if it is joint? */
export function isQuorum({ voters, outgoing }: Membership, has: (id: NodeId) => boolean): boolean {
  const most = (ids: readonly NodeId[]): boolean => ids.length === 0 || ids.filter(has).length > ids.length / 2;
  return most(voters) && most(outgoing);
}

/** Has each quorum of the one a member of each quorum of the other? So it is when this is true of some half of each. */
export function quorumsMeet(one: Membership, other: Membership): boolean {
  const halves = ({ voters, outgoing }: Membership): (readonly NodeId[])[] => [voters, outgoing].filter((ids) => ids.length > 0);
  return halves(one).some((a) => halves(other).some((b) => majoritiesMeet(a, b)));
}

/** What each majority needs of those in both, when it takes as many others as it can. */
function majoritiesMeet(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  const shared = a.filter((id) => b.includes(id)).length;
  const needs = ({ length }: readonly NodeId[]): number => Math.max(0, Math.floor(length / 2) + 1 - (length - shared));
  return needs(a) + needs(b) > shared;
}

function contentOf({ kind, data }: Entry): number {
  let sum = hashOf(String(kind));
  for (const byte of data) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum >>> 0;
}
