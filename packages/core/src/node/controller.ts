/**
 * What a leader does about its nodes: a pure rule from the rows and from what Raft shows to what should be done next. It moves the
 * membership towards what the rows want, one change at a time and never over a lost quorum, and says in commands what it has seen.
 * A world that is as wanted gives nothing to do.
 */
import { theCluster } from "../cluster/state.ts";
import type { Command } from "../kernel/command.ts";
import type { World } from "../kernel/world.ts";
import { hasJoined, type NodeRow } from "./state.ts";
import type { Contact } from "./transitions.ts";

/** What the leader's Raft status shows. Members are numbers; "active" is heard from within the last election timeout. */
export interface MembershipFacts {
  /** The node that asks: it leads, as `member`, in `term`. */
  readonly node: string;
  readonly member: number;
  readonly term: number;
  /** Without those that only a joint configuration still has. */
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  /** A change or a leadership transfer is under way, or a joint configuration is in force. */
  readonly changing: boolean;
  /** Index of the leader's last entry. */
  readonly last: number;
  /** Of the other members; the leader's own entry, if there is one, is not looked at. */
  readonly progress: ReadonlyMap<number, MemberProgress>;
  /** Milliseconds of silence that count against a member; without an entry nothing is said about it. */
  readonly silenceMs: ReadonlyMap<number, number>;
}

export interface MemberProgress {
  /** Highest index that it is known to hold. */
  readonly match: number;
  readonly active: boolean;
}

export type Change = { readonly op: "addLearner" | "addVoter" | "remove"; readonly member: number };

/** Commands may be issued together; of the others there is at most one. */
export type Action =
  | { readonly do: "command"; readonly command: Command }
  | { readonly do: "change"; readonly changes: readonly Change[]; readonly why: string }
  | { readonly do: "transfer"; readonly to: number; readonly why: string };

/** What has to be remembered between two looks: how far each learner has caught up. Lost with leadership, which costs a round. */
export interface Memory {
  readonly rounds: ReadonlyMap<number, { readonly done: number; readonly target: number }>;
}
export const emptyMemory: Memory = { rounds: new Map() };

export interface Reconciled {
  readonly actions: readonly Action[];
  readonly memory: Memory;
}

export const suspectedAfterMs = 3_000;
export const lostAfterMs = 15_000;
/**
 * A learner is promoted after two rounds, each of which brings it to where the leader's log ended when the round began (Ongaro's
 * thesis, 4.2.1), and when it holds 99 % of the log and lacks at most this many entries.
 */
const roundsNeeded = 2;
const behindMax = 1_000;
const heldShareMin = 0.99;

/** Pure: equal arguments give equal actions. `world` is what has been applied. */
export function reconcile(world: World, facts: MembershipFacts, memory: Memory): Reconciled {
  const cluster = theCluster(world);
  if (cluster === undefined) return { actions: [], memory: emptyMemory };
  const rows = [...world.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => a.member - b.member);
  const rounds = countRounds(facts, memory);
  const actions: Action[] = [];
  const say = (type: string, id: string, fields: object): void => {
    actions.push({ do: "command", command: { type, id, ...fields } });
  };
  const { node, member, term } = facts;
  if ((cluster.row.leader?.term ?? 0) < term) say("RecordLeader", cluster.id, { node, member, term });
  for (const row of rows) {
    if (row.left) continue;
    reportDuty(row, facts, say);
    reportContact(row, facts, say);
  }
  const act = facts.changing ? undefined : nextAct(rows, facts, rounds);
  if (act !== undefined) actions.push(act);
  return { actions, memory: { rounds } };
}

/** Learners' rounds after this look. A learner that is seen for the first time begins its first round now. */
function countRounds(facts: MembershipFacts, memory: Memory): Memory["rounds"] {
  const next = new Map<number, { done: number; target: number }>();
  for (const learner of facts.learners) {
    const before = memory.rounds.get(learner);
    const match = facts.progress.get(learner)?.match ?? 0;
    if (before === undefined) next.set(learner, { done: 0, target: facts.last });
    else if (match >= before.target) next.set(learner, { done: before.done + 1, target: facts.last });
    else next.set(learner, before);
  }
  return next;
}

type Say = (type: string, id: string, fields: object) => void;

/** What the membership proves about a node's duty. */
function reportDuty(row: NodeRow, facts: MembershipFacts, say: Say): void {
  const { name: id, member } = row;
  const votes = facts.voters.includes(member);
  if (row.duty === "joining" && hasJoined(row) && votes && isActive(member, facts)) say("AdmitNode", id, { member });
  if (row.duty === "draining" && facts.member !== member) say("CompleteDrain", id, {});
  const gone = !votes && !facts.learners.includes(member) && !facts.changing;
  if (row.duty === "shutting-down" && gone) say("RecordNodeLeft", id, { member });
}

/** What silence says; a facet of its own. Nothing is said of a node that nobody listens for yet. */
function reportContact(row: NodeRow, facts: MembershipFacts, say: Say): void {
  const silence = row.member === facts.member ? 0 : facts.silenceMs.get(row.member);
  if (silence === undefined || !hasJoined(row)) return;
  const contact = judgeSilence(silence);
  const softer = row.contact === "lost" && contact === "suspected";
  if (contact !== row.contact && !softer) say("RecordContact", row.name, { contact });
}

export function judgeSilence(silenceMs: number): Exclude<Contact, "unknown"> {
  if (silenceMs >= lostAfterMs) return "lost";
  return silenceMs >= suspectedAfterMs ? "suspected" : "reachable";
}

const isActive = (member: number, facts: MembershipFacts): boolean =>
  member === facts.member || facts.progress.get(member)?.active === true;

/** Would these voters, as far as they are heard from now, be a quorum of themselves? */
const holdsQuorum = (voters: readonly number[], facts: MembershipFacts): boolean =>
  voters.filter((member) => isActive(member, facts)).length > voters.length / 2;

/**
 * The next step of the membership towards the rows. First goes what is not wanted, the silent before the others: a dead voter only
 * makes quorums larger. Then come learners, and then promotions.
 */
function nextAct(rows: readonly NodeRow[], facts: MembershipFacts, rounds: Memory["rounds"]): Action | undefined {
  if (rows.length === 0) return undefined;
  const byMember = new Map(rows.filter(isWanted).map((row) => [row.member, row]));
  return handOver(byMember, rows, facts) ?? remove(byMember, facts) ?? add(byMember, facts) ?? promote(byMember, facts, rounds);
}

/** A decommissioned node still votes: it may be put back on duty. One that shuts down, or has not come yet, does not. */
const isWanted = (row: NodeRow): boolean => !row.left && hasJoined(row) && row.duty !== "shutting-down";

/**
 * A leader that is on its way off duty hands over to the on-duty voter that could lead soonest. One that must leave, because it
 * shuts down or because its node has gone on under another number, takes any other voter if need be; without one it stays.
 */
function handOver(wanted: ReadonlyMap<number, NodeRow>, rows: readonly NodeRow[], facts: MembershipFacts): Action | undefined {
  const own = rows.find((row) => row.member === facts.member);
  if (own?.duty === "on-duty" || own?.duty === "joining") return undefined;
  const others = facts.voters.filter((member) => member !== facts.member && wanted.has(member) && isActive(member, facts));
  const onDuty = others.filter((member) => wanted.get(member)?.duty === "on-duty");
  const mustLeave = own === undefined || own.duty === "shutting-down";
  const able = onDuty.length === 0 && mustLeave ? others : onDuty;
  const matchOf = (member: number): number => facts.progress.get(member)?.match ?? 0;
  const to = able.toSorted((a, b) => matchOf(b) - matchOf(a) || a - b)[0];
  return to === undefined
    ? undefined
    : { do: "transfer", to, why: own === undefined ? `no node is member ${facts.member}` : `${own.name} is ${own.duty}` };
}

function remove(wanted: ReadonlyMap<number, NodeRow>, facts: MembershipFacts): Action | undefined {
  const unwanted = [...facts.learners, ...facts.voters].filter((member) => !wanted.has(member) && member !== facts.member);
  const silentFirst = unwanted.toSorted((a, b) => Number(isActive(a, facts)) - Number(isActive(b, facts)) || a - b);
  const safe = silentFirst.find((member) => {
    const left = facts.voters.filter((voter) => voter !== member);
    return left.length === facts.voters.length || holdsQuorum(left, facts);
  });
  if (safe === undefined) return undefined;
  return { do: "change", changes: [{ op: "remove", member: safe }], why: `no node is member ${safe} any more` };
}

function add(wanted: ReadonlyMap<number, NodeRow>, facts: MembershipFacts): Action | undefined {
  for (const [member, { name }] of wanted) {
    if (facts.voters.includes(member) || facts.learners.includes(member)) continue;
    return { do: "change", changes: [{ op: "addLearner", member }], why: `${name} has joined as member ${member}` };
  }
  return undefined;
}

function promote(wanted: ReadonlyMap<number, NodeRow>, facts: MembershipFacts, rounds: Memory["rounds"]): Action | undefined {
  for (const member of facts.learners.toSorted((a, b) => a - b)) {
    const row = wanted.get(member);
    if (row === undefined || !isActive(member, facts)) continue;
    const match = facts.progress.get(member)?.match ?? 0;
    const close = match >= facts.last * heldShareMin && facts.last - match <= behindMax;
    if (!close || (rounds.get(member)?.done ?? 0) < roundsNeeded) continue;
    return { do: "change", changes: [{ op: "addVoter", member }], why: `${row.name} has caught up to ${match} of ${facts.last}` };
  }
  return undefined;
}
