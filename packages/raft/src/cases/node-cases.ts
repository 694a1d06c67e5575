import { expect } from "vitest";
import { decodeConfigChange } from "../config-change.ts";
import { isMember, memberIds } from "../core/confchange.ts";
import { onVoteResponse } from "../core/election.ts";
import { onAppend, onHeartbeat } from "../core/replication.ts";
import { becomeCandidate, becomeFollower, becomeLeader, becomePreCandidate } from "../core/roles.ts";
import type { RaftState } from "../core/state.ts";
import { type EntryId, type Envelope, type Index, Kind, type Msg, type NodeId, type RoleState, type Term } from "../types.ts";
import { Lone, membershipOf } from "./lone.ts";
import { entriesOf, type Runner, runner, type Terms } from "./suite.ts";

type WrittenState = "follower" | "precandidate" | "candidate" | "leader";
const stateOf = (s: WrittenState): RoleState => (s === "precandidate" ? "preCandidate" : s);

const nobody = { term: 0, index: 0 };

function voteResponses(sent: readonly Envelope[]): boolean[] {
  return sent.flatMap(({ m }) => (m.t === "voteResp" || m.t === "preVoteResp" ? [m.granted] : []));
}

interface VoteRow {
  readonly type: "vote" | "preVote";
  readonly state: WrittenState;
  readonly index: Index;
  readonly logTerm: Term;
  readonly votedFor: NodeId;
  readonly wantReject: boolean;
}

const voteTable = runner<VoteRow, { log: NonNullable<Terms> }>((c, given) => {
  const term = Math.max(2, c.logTerm);
  const lone = new Lone({ voters: [1], terms: given.log.terms, term, vote: c.votedFor });
  lone.r.state = stateOf(c.state);
  const t = c.type.toLowerCase() === "prevote" ? "preVote" : "vote";
  lone.receive(2, { t, last: { index: c.index, term: c.logTerm }, transfer: false, commit: { term: 0, index: 0 } }, term);
  expect(voteResponses(lone.settle())).toEqual([!c.wantReject]);
});

const voteUpToDate = runner<{ terms: Term[]; logTerm: Term; index: Index; wantReject: boolean }>((c) => {
  const lone = new Lone({ voters: [1, 2], terms: c.terms });
  lone.receive(2, { t: "vote", last: { index: c.index, term: c.logTerm }, transfer: false, commit: { term: 0, index: 0 } }, 3);
  expect(voteResponses(lone.settle())).toEqual([!c.wantReject]);
});

const voteOnce = runner<{ voted: NodeId; from: NodeId; wantReject: boolean }>((c) => {
  const lone = new Lone({ term: 1, vote: c.voted });
  lone.receive(c.from, { t: "vote", last: nobody, transfer: false, commit: { term: 0, index: 0 } }, 1);
  expect(voteResponses(lone.settle())).toEqual([!c.wantReject]);
});

const electionOneRound = runner<{ size: number; votes: Record<string, boolean>; want: WrittenState }>((c) => {
  const lone = new Lone({ voters: idsUpTo(c.size) });
  lone.step({ k: "campaign" });
  lone.settle();
  for (const [id, granted] of Object.entries(c.votes)) lone.receive(Number(id), { t: "voteResp", granted, commit: nobody });
  expect(lone.r).toMatchObject({ state: stateOf(c.want), term: 1 });
});

/** The same share as a table of random draws would show, counted over draws that are spread evenly. */
const timeoutDistribution = runner<{ elapsed: number; want: number; round: boolean }>((c) => {
  const draws = 10_000;
  let draw = 0;
  const lone = new Lone({ voters: [1], options: { rng: () => (draw++ + 0.5) / draws } });
  let past = 0;
  for (let i = 0; i < draws; i++) {
    becomeFollower(lone.r, lone.r.term, 0);
    if (c.elapsed >= lone.r.electionTimeout) past++;
  }
  const share = past / draws;
  expect(c.round ? Math.floor(share * 10 + 0.5) / 10 : share).toBe(c.want);
});

const appendHandled = runner<
  {
    term: Term;
    logTerm: Term;
    index: Index;
    commit: Index;
    entries: Terms;
    wantLast: Index;
    wantCommit: Index;
    wantReject: boolean;
  },
  { log: NonNullable<Terms> }
>((c, given) => {
  const lone = new Lone({ voters: [1], terms: given.log.terms, term: 2 });
  const prev = { index: c.index, term: c.logTerm };
  onAppend(lone.r, 2, { t: "app", prev, entries: entriesOf(c.entries), commit: c.commit });
  expect({ last: lone.r.log.lastIndex(), commit: lone.r.log.committed }).toEqual({ last: c.wantLast, commit: c.wantCommit });
  expect(lone.settle().map(({ m }) => m.t === "appResp" && m.reject !== null)).toEqual([c.wantReject]);
});

interface Consistency {
  readonly logTerm: Term;
  readonly index: Index;
  readonly wantIndex: Index;
  readonly wantReject: boolean;
  readonly wantHint: Index;
  readonly wantHintTerm: Term;
}

const consistencyCheck = runner<Consistency>((c) => {
  const lone = new Lone({ terms: [1, 2], term: 2, commit: 1 });
  lone.receive(2, { t: "app", prev: { index: c.index, term: c.logTerm }, entries: [], commit: 0 }, Math.max(2, c.logTerm));
  const reject = c.wantReject ? { hint: { index: c.wantHint, term: c.wantHintTerm } } : null;
  expect(lone.settle().map(({ m }) => m)).toEqual([{ t: "appResp", index: c.wantIndex, reject }]);
});

const overwrite = runner<{ index: Index; term: Term; entries: Terms; want: NonNullable<Terms>; wantToPersist: Terms }>((c) => {
  const lone = new Lone({ terms: [1, 2], term: 2 });
  const entries = entriesOf(c.entries);
  lone.receive(2, { t: "app", prev: c, entries, commit: 0 }, Math.max(2, ...entries.map((e) => e.term)));
  lone.settle();
  expect(lone.terms()).toEqual(c.want.terms);
  const written = lone.written.length === 0 ? null : { first: lone.written[0]!.index, terms: lone.written.map((e) => e.term) };
  expect(written).toEqual(c.wantToPersist);
});

const followerCommit = runner<{ data: string[]; commit: Index }>((c) => {
  const lone = new Lone({ term: 1 });
  const entries = c.data.map((d, i) => ({ term: 1, index: i + 1, kind: Kind.normal, data: new TextEncoder().encode(d) }));
  lone.receive(2, { t: "app", prev: nobody, entries, commit: c.commit }, 1);
  lone.settle();
  expect(lone.toApply.map((e) => new TextDecoder().decode(e.data))).toEqual(c.data.slice(0, c.commit));
});

const heartbeatCommit = runner<{ commit: Index; want: Index }>((c) => {
  const lone = new Lone({ terms: [1, 2, 3], term: 3, commit: 2 });
  onHeartbeat(lone.r, 2, { t: "hb", commit: c.commit, readPos: 0 });
  expect(lone.r.log.committed).toBe(c.want);
});

/** A leader of `term` as it is right after it won, before anything is sent. */
function leaderOf(lone: Lone): RaftState {
  becomeCandidate(lone.r);
  becomeLeader(lone.r);
  return lone.r;
}

const transitions = runner<{ from: WrittenState; to: WrittenState; allowed: boolean; wantTerm: Term; wantLead: NodeId }>((c) => {
  const { r } = new Lone({ voters: [1] });
  r.state = stateOf(c.from);
  const become = () => {
    if (c.to === "follower") becomeFollower(r, c.wantTerm, c.wantLead);
    else if (c.to === "precandidate") becomePreCandidate(r);
    else if (c.to === "candidate") becomeCandidate(r);
    else becomeLeader(r);
  };
  if (!c.allowed) {
    expect(become).toThrow("A1");
    return;
  }
  become();
  expect(r).toMatchObject({ state: stateOf(c.to), term: c.wantTerm, leader: c.wantLead });
});

function inState(state: WrittenState): Lone {
  const lone = new Lone();
  if (state === "follower") becomeFollower(lone.r, 1, 0);
  if (state === "precandidate") becomePreCandidate(lone.r);
  if (state === "candidate" || state === "leader") becomeCandidate(lone.r);
  if (state === "leader") becomeLeader(lone.r);
  return lone;
}

const stepDown = runner<{ state: WrittenState; wantState: WrittenState; wantTerm: Term; wantLast: Index }>((c) => {
  const lone = inState(c.state);
  const want = { state: stateOf(c.wantState), term: c.wantTerm };
  lone.receive(2, { t: "vote", last: { index: 0, term: 3 }, transfer: false, commit: { term: 0, index: 0 } }, 3);
  expect({ ...roleOf(lone.r), last: lone.r.log.lastIndex() }).toEqual({ ...want, leader: 0, last: c.wantLast });
  lone.receive(2, { t: "app", prev: { index: 0, term: 3 }, entries: [], commit: 0 }, 3);
  expect({ ...roleOf(lone.r), last: lone.r.log.lastIndex() }).toEqual({ ...want, leader: 2, last: c.wantLast });
});

const roleOf = (r: RaftState) => ({ state: r.state, term: r.term, leader: r.leader });

const termUpdate = runner<{ state: WrittenState; wantTerm: Term }>((c) => {
  const lone = inState(c.state);
  lone.receive(2, { t: "app", prev: nobody, entries: [], commit: 0 }, 2);
  expect(roleOf(lone.r)).toEqual({ state: "follower", term: c.wantTerm, leader: 2 });
});

const candidateFallback = runner<{ messageTerm: Term; want: { state: string; term: Term } }>((c) => {
  const lone = new Lone();
  lone.step({ k: "campaign" });
  expect(lone.r).toMatchObject({ state: "candidate", term: 1 });
  lone.receive(2, { t: "app", prev: nobody, entries: [], commit: 0 }, c.messageTerm);
  expect(lone.r).toMatchObject(c.want);
});

const promotableCase = runner<{ peers: NodeId[]; want: boolean }>((c) => {
  const lone = new Lone({ voters: c.peers });
  lone.step({ k: "campaign" });
  expect(lone.r.state !== "follower").toBe(c.want);
});

const pendingConfigOfNewLeader = runner<{ extraEntries: number; wantPendingIndex: Index }>((c) => {
  const lone = new Lone({ voters: [1, 2], terms: idsUpTo(c.extraEntries).map(() => 0) });
  expect(leaderOf(lone).pendingConfIndex).toBe(c.wantPendingIndex);
});

const pendingConfig = runner<{ proposals: number; want: { lastIndex: Index; pendingConfIndex: Index; kinds: string[] } }>((c) => {
  const lone = new Lone({ voters: [1, 2] });
  const r = leaderOf(lone);
  for (let i = 0; i < c.proposals; i++) {
    const change = {
      changes: [{ op: "addVoter", id: 3 + i } as const],
      transition: "auto",
      leave: false,
      context: new Uint8Array(0),
    } as const;
    expect(lone.step({ k: "change", change })).toMatchObject({ ok: true });
  }
  const entries = r.log.unstable.entries;
  const kinds = entries.map((e) => (e.kind === Kind.noop ? "noop" : e.kind === Kind.config ? "conf" : "normal"));
  expect({ lastIndex: r.log.lastIndex(), pendingConfIndex: r.pendingConfIndex, kinds }).toEqual(c.want);
  expect(decodeConfigChange(entries[1]!.data).changes).toEqual([{ op: "addVoter", id: 3 }]);
});

interface RestoreCase {
  readonly id: NodeId;
  readonly voters: NodeId[];
  readonly learners: NodeId[];
  readonly base?: EntryId;
  readonly terms: Term[];
  readonly commit: Index;
  readonly snapshot: EntryId & { voters: NodeId[]; outgoing: NodeId[]; learners: NodeId[] };
  readonly want: {
    restored: boolean;
    commit?: Index;
    lastIndex: Index;
    lastTerm: Term;
    voters?: NodeId[];
    learners?: NodeId[];
    isLearner?: boolean;
  };
  readonly wantAgain: boolean;
  readonly wantStateAfterTimeout?: WrittenState;
}

function offered(c: RestoreCase): Msg {
  const { snapshot: s } = c;
  const membership = membershipOf(s.voters, s.outgoing, s.learners);
  return { t: "snapOffer", meta: { id: { index: s.index, term: s.term }, membership, digest: "d", bytes: 1 } };
}

const snapshotRestore = runner<RestoreCase>((c) => {
  const lone = new Lone({
    id: c.id,
    voters: c.voters,
    learners: c.learners,
    base: c.base ?? nobody,
    terms: c.terms,
    commit: c.commit,
  });
  const { r } = lone;
  const offer = offered(c);
  lone.receive(9, offer, 11);
  const restored = r.log.unstable.snap !== null;
  const last = r.log.last();
  expect({ restored, lastIndex: last.index, lastTerm: last.term }).toEqual({
    restored: c.want.restored,
    lastIndex: c.want.lastIndex,
    lastTerm: c.want.lastTerm,
  });
  if (c.want.commit !== undefined) expect(r.log.committed).toBe(c.want.commit);
  const m = r.membership();
  if (c.want.voters !== undefined) expect(memberIds({ ...m, learners: [] })).toEqual(c.want.voters);
  if (c.want.learners !== undefined) expect(m.learners).toEqual(c.want.learners);
  if (c.want.isLearner !== undefined) expect(r.tracker.find(c.id)!.learner).toBe(c.want.isLearner);
  const installing = r.log.unstable.snap;
  lone.receive(9, offer, 11);
  expect(r.log.unstable.snap === installing || c.wantAgain).toBe(true);
  if (c.wantStateAfterTimeout !== undefined) {
    expect(isMember(m, c.id)).toBe(true);
    for (let i = 0; i < 2 * r.electionTimeout; i++) lone.step({ k: "tick" });
    expect(r.state).toBe(stateOf(c.wantStateAfterTimeout));
  }
});

function idsUpTo(n: number): NodeId[] {
  return Array.from({ length: n }, (_, i) => i + 1);
}

const commitTable = runner<{ matches: Index[]; terms: Term[]; term: Term; want: Index }>((c) => {
  const lone = new Lone({ voters: idsUpTo(c.matches.length), terms: c.terms, term: c.term });
  lone.r.state = "leader";
  c.matches.forEach((match, i) => {
    if (i + 1 !== lone.r.id) lone.receive(i + 1, { t: "appResp", index: match, reject: null }, c.term);
  });
  Object.assign(lone.r.tracker.find(lone.r.id)!, { match: 0 });
  lone.receive(lone.r.id, { t: "appResp", index: c.matches[0]!, reject: null }, c.term);
  expect(lone.r.log.committed).toBe(c.want);
});

/** Wins the election of the next term with everyone's vote, its own included, and writes what it has. */
export function elect(lone: Lone): void {
  lone.step({ k: "campaign" });
  lone.settle();
  for (const peer of lone.r.tracker.peers)
    if (lone.r.state === "candidate" && peer.id !== lone.r.id) onVoteResponse(lone.r, peer.id, true);
  expect(lone.r.state).toBe("leader");
  lone.settle();
}

const commitAcks = runner<{ size: number; ackers: NodeId[]; want: boolean }>((c) => {
  const lone = new Lone({ voters: idsUpTo(c.size) });
  elect(lone);
  const ack = (ids: readonly NodeId[], index: Index) =>
    ids.forEach((id) => lone.receive(id, { t: "appResp", index, reject: null }));
  ack(idsUpTo(c.size).slice(1), 1);
  lone.step({ k: "propose", data: [Uint8Array.of(7)] });
  lone.settle();
  ack(c.ackers, 2);
  expect(lone.r.log.committed).toBe(c.want ? 2 : 1);
});

const commitOnlyCurrentTerm = runner<{ ack: Index; want: Index }>((c) => {
  const lone = new Lone({ voters: [1, 2], terms: [1, 2], term: 2 });
  elect(lone);
  lone.step({ k: "propose", data: [Uint8Array.of(7)] });
  lone.settle();
  lone.receive(2, { t: "appResp", index: c.ack, reject: null }, 3);
  expect(lone.r.log.committed).toBe(c.want);
});

const commitPreceding = runner<{ terms: Term[]; wantCommittedTerms: Term[] }>((c) => {
  const lone = new Lone({ terms: c.terms, term: 2 });
  elect(lone);
  lone.step({ k: "propose", data: [Uint8Array.of(7)] });
  lone.settle();
  for (const id of [2, 3]) lone.receive(id, { t: "appResp", index: lone.r.log.lastIndex(), reject: null });
  lone.settle();
  expect(lone.toApply.map((e) => e.term)).toEqual(c.wantCommittedTerms);
});

interface Figure8 {
  readonly logsBefore?: Record<string, Term[]>;
  readonly leader?: NodeId;
  readonly term?: Term;
  readonly matches?: Record<string, Index>;
  readonly wantCommitAtMost?: Index;
  readonly wantCommit?: Index;
  readonly candidate?: NodeId;
  readonly candidateLast?: EntryId;
  readonly voters?: Record<string, EntryId>;
  readonly wantGranted?: NodeId[];
}

const figure8 = runner<Figure8>((c) => {
  if (c.matches !== undefined) {
    const lone = new Lone({ id: c.leader!, voters: idsUpTo(5), terms: c.logsBefore![c.leader!]!, term: c.term! });
    lone.r.state = "leader";
    for (const [id, match] of Object.entries(c.matches))
      lone.receive(Number(id), { t: "appResp", index: match, reject: null }, c.term);
    if (c.wantCommit !== undefined) expect(lone.r.log.committed).toBe(c.wantCommit);
    if (c.wantCommitAtMost !== undefined) expect(lone.r.log.committed).toBeLessThanOrEqual(c.wantCommitAtMost);
    return;
  }
  const granted = Object.entries(c.voters!).filter(([id, last]) => {
    const terms = last.index === 1 ? [last.term] : [...Array.from({ length: last.index - 1 }, (_, i) => i + 1), last.term];
    const voter = new Lone({ id: Number(id), voters: idsUpTo(5), terms, term: 4 });
    voter.receive(c.candidate!, { t: "vote", last: c.candidateLast!, transfer: false, commit: { term: 0, index: 0 } }, 5);
    return voteResponses(voter.settle())[0] === true;
  });
  expect(granted.map(([id]) => Number(id))).toEqual(c.wantGranted);
});

export const nodeRunners: Record<string, Runner> = {
  "vote.grant_table": voteTable,
  "vote.log_up_to_date": voteUpToDate,
  "vote.once_per_term": voteOnce,
  "election.one_round": electionOneRound,
  "election.timeout_distribution": timeoutDistribution,
  "append.handle": appendHandled,
  "append.consistency_check": consistencyCheck,
  "append.overwrite": overwrite,
  "append.follower_commit": followerCommit,
  "append.heartbeat_commit": heartbeatCommit,
  "state.transitions": transitions,
  "state.stepdown_on_higher_term": stepDown,
  "state.term_update": termUpdate,
  "candidate.fallback": candidateFallback,
  "membership.promotable": promotableCase,
  "membership.pending_config_on_new_leader": pendingConfigOfNewLeader,
  "leader.pending_config": pendingConfig,
  "snapshot.restore": snapshotRestore,
  "commit.leader_table": commitTable,
  "commit.acks": commitAcks,
  "commit.only_current_term": commitOnlyCurrentTerm,
  "commit.preceding_entries": commitPreceding,
  "authored.figure8": figure8,
};
