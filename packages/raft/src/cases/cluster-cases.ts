import { expect } from "vitest";
import { changeSimply, enterJoint, leaveJoint } from "../core/confchange.ts";
import { switchMembership } from "../core/membership.ts";
import type { Change, Index, Msg, NodeId, Outcome, Term } from "../types.ts";
import { applyAll, beat, Cluster, forceLeader, snapshotAndCompact } from "./cluster.ts";
import type { Lone } from "./lone.ts";
import { entriesOf, oneByte, type Runner, runner, type Terms } from "./suite.ts";

/** A term in a case: a number, or "termOf:N" with an optional "+k". */
type WrittenTerm = Term | string;

interface WrittenMsg {
  readonly type: string;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly term?: WrittenTerm;
  readonly index?: Index;
  readonly logTerm?: Term;
  readonly entries?: Terms;
  readonly ctx?: string;
}

interface Expected {
  readonly state?: string;
  readonly term?: WrittenTerm;
  readonly lead?: NodeId;
  readonly commit?: Index;
  readonly lastIndex?: Index;
  readonly terms?: Term[];
  readonly vote?: NodeId;
  readonly transferee?: NodeId;
  readonly match?: Record<string, Index>;
  readonly reads?: number;
  readonly readState?: { index: Index; ctx: string };
  readonly proposeResult?: "dropped";
}

interface Step extends Expected {
  readonly op: string;
  readonly node?: NodeId;
  readonly nodes?: NodeId[];
  readonly a?: NodeId;
  readonly b?: NodeId;
  readonly from?: NodeId;
  readonly to?: NodeId;
  readonly at?: NodeId;
  readonly peer?: NodeId;
  readonly type?: string;
  readonly count?: number | "timeout";
  readonly ticks?: number;
  readonly deliver?: boolean;
  readonly value?: boolean;
  readonly ctx?: string;
  readonly minIndex?: Index;
  readonly field?: "commit";
  readonly msg?: WrittenMsg;
  readonly changes?: Change[];
  readonly joint?: "enter" | "leave";
  readonly alternatives?: (Expected & { node: NodeId })[];
}

interface WrittenNode {
  readonly id: NodeId;
  readonly terms?: Term[];
  readonly term?: Term;
  readonly vote?: NodeId;
  readonly commit?: Index;
  readonly voters?: NodeId[];
  readonly learners?: NodeId[];
  readonly preVote?: boolean;
  readonly blackhole?: boolean;
}

interface Scenario {
  readonly config?: { preVote?: boolean; checkQuorum?: boolean; electionTimeout?: number };
  readonly nodes: WrittenNode[];
  readonly steps: Step[];
}

/** Names cases give to messages, and ours. */
const messageTypes: Record<string, Msg["t"]> = {
  app: "app",
  appResp: "appResp",
  heartbeat: "hb",
  heartbeatResp: "hbResp",
  vote: "vote",
  voteResp: "voteResp",
  timeoutNow: "timeoutNow",
  readIndex: "readIndex",
};

class Play {
  readonly net = new Cluster();
  private readonly keys: string[] = [];
  private lastProposal: Outcome | undefined;

  constructor(scenario: Scenario) {
    const { preVote = false, checkQuorum = false, electionTimeout = 10 } = scenario.config ?? {};
    const voters = scenario.nodes.map((n) => n.id);
    for (const n of scenario.nodes) {
      const options = { preVote: n.preVote ?? preVote, checkQuorum, electionTicks: electionTimeout };
      if (n.blackhole !== true) this.net.add({ voters, ...n, options });
    }
  }

  run(s: Step): void {
    const action = this.actions[s.op];
    if (action === undefined) throw new Error(`no such step: ${s.op}`);
    action(s);
  }

  private readonly actions: Record<string, (s: Step) => void> = {
    campaign: (s) => this.net.on(s.node!, (n) => n.step({ k: "campaign" })),
    campaignTogether: (s) => this.net.together(s.nodes!, (n) => n.step({ k: "campaign" })),
    tick: (s) => this.tick(s),
    setTimeout: (s) => void (this.net.node(s.node!).r.electionTimeout = s.ticks!),
    beat: (s) => this.net.on(s.node!, beat),
    propose: (s) => {
      for (let i = 0; i < Number(s.count); i++) {
        this.net.on(s.node!, (n) => void (this.lastProposal = n.step({ k: "propose", data: [oneByte] })));
      }
    },
    cut: (s) => this.net.cut(s.a!, s.b!),
    isolate: (s) => this.net.isolate(s.node!),
    heal: () => this.net.heal(),
    ignore: (s) => this.net.ignore(messageTypes[s.type!]!),
    hold: (s) => this.net.hold(messageTypes[s.type!]!),
    unhold: () => this.net.unhold(),
    releaseHeld: () => this.net.releaseHeld(),
    // Upstream's followers forward the request to their leader; here the caller goes there.
    transfer: (s) => this.net.on(this.net.leaderAt(s.at!) || s.at!, (n) => n.step({ k: "transfer", to: s.to! })),
    staleHeartbeat: (s) => this.send({ type: "heartbeat", from: s.from!, to: s.to!, term: `termOf:${s.from!}` }),
    send: (s) => this.send(s.msg!),
    readIndex: (s) => this.net.on(s.node!, (n) => n.step({ k: "read", key: this.keyOf(s.ctx!) })),
    clearReads: (s) => void this.net.node(s.node!).reads.splice(0),
    applyConf: (s) => this.net.on(s.node!, (n) => applyConf(n, s)),
    proposeConf: (s) =>
      this.net.on(s.node!, (n) => {
        const changes = [{ op: "remove", id: 2 } as const];
        n.step({ k: "change", change: { changes, transition: "auto", leave: false, context: new Uint8Array(0) } });
      }),
    applyAll: (s) => this.net.on(s.node!, applyAll),
    snapshotAndCompact: (s) => snapshotAndCompact(this.net.node(s.node!)),
    beatUntilActive: (s) => {
      const peer = this.net.node(s.node!).r.tracker.find(s.peer!)!;
      for (let i = 0; i < 10 && !peer.active; i++) this.net.on(s.node!, beat);
      expect(peer.active).toBe(true);
    },
    dropQueued: (s) => this.net.node(s.node!).settle(),
    forceLeader: (s) => forceLeader(this.net.node(s.node!)),
    setPreVote: (s) => void (this.net.node(s.node!).options.preVote = s.value!),
    expect: (s) => expect(this.seen(s.node!, s)).toEqual(this.wanted(s)),
    expectAny: (s) => {
      const alternatives = s.alternatives ?? s.nodes!.map((node) => ({ node, state: s.state! }));
      expect(alternatives.some((a) => JSON.stringify(this.seen(a.node, a)) === JSON.stringify(this.wanted(a)))).toBe(true);
    },
    expectEqual: (s) => expect(new Set(s.nodes!.map((id) => this.net.node(id).r.log.committed)).size).toBe(1),
    expectReads: (s) => {
      const key = this.keyOf(s.ctx!);
      for (const node of this.net.nodes.values()) {
        for (const read of node.reads) if (read.key === key) expect(read.index).toBeGreaterThanOrEqual(s.minIndex!);
      }
    },
  };

  private tick(s: Step): void {
    const node = this.net.node(s.node!);
    const count = s.count === "timeout" ? node.r.electionTimeout : s.count!;
    for (let i = 0; i < count; i++) node.step({ k: "tick" });
    if (s.deliver === true) this.net.deliver(node.settle());
  }

  private send(w: WrittenMsg): void {
    const to = this.net.node(w.to);
    // A message without a term is one that upstream does not check; it speaks of the receiver's own term.
    const term = w.term === undefined ? Math.max(1, to.r.term) : this.termOf(w.term);
    this.net.deliver([{ from: w.from, to: w.to, term, m: this.messageOf(w) }]);
  }

  private messageOf(w: WrittenMsg): Msg {
    const at = { index: w.index ?? 0, term: w.logTerm ?? 0 };
    switch (w.type) {
      case "app":
        return { t: "app", prev: at, entries: entriesOf(w.entries ?? null), commit: 0 };
      case "appResp":
        return { t: "appResp", index: at.index, reject: null };
      case "heartbeat":
        return { t: "hb", commit: 0, readPos: 0 };
      case "heartbeatResp":
        return { t: "hbResp", readPos: 0 };
      case "vote":
        return { t: "vote", last: at, transfer: false, commit: { term: 0, index: 0 } };
      case "voteResp":
        return { t: "voteResp", granted: true, commit: { term: 0, index: 0 } };
      case "timeoutNow":
        return { t: "timeoutNow" };
      case "readIndex":
        return { t: "readIndex", key: this.keyOf(w.ctx!) };
      default:
        throw new Error(`no such message: ${w.type}`);
    }
  }

  private keyOf(ctx: string): number {
    if (!this.keys.includes(ctx)) this.keys.push(ctx);
    return this.keys.indexOf(ctx);
  }

  private termOf(written: WrittenTerm): Term {
    if (typeof written === "number") return written;
    const [id, more] = written.slice("termOf:".length).split("+");
    return this.net.node(Number(id)).r.term + Number(more ?? 0);
  }

  /** The same fields as the step names, as this node has them. */
  private seen(id: NodeId, s: Expected): Expected {
    const node = this.net.node(id);
    const { r } = node;
    const last = node.reads[node.reads.length - 1];
    const all: Record<keyof Expected, unknown> = {
      state: r.state.toLowerCase(),
      term: r.term,
      lead: r.leader,
      commit: r.log.committed,
      lastIndex: r.log.lastIndex(),
      terms: s.terms?.length === 0 ? [] : node.terms(),
      vote: r.vote,
      transferee: r.transferee,
      match: Object.fromEntries(Object.keys(s.match ?? {}).map((peer) => [peer, r.tracker.find(Number(peer))!.match])),
      reads: node.reads.length,
      readState: last === undefined ? undefined : { index: last.index, ctx: this.keys[last.key] },
      proposeResult: this.lastProposal?.ok === false ? "dropped" : "taken",
    };
    return Object.fromEntries(fieldsOf(s).map((field) => [field, all[field]]));
  }

  private wanted(s: Expected): Expected {
    const fields = fieldsOf(s).map((field) => [field, field === "term" ? this.termOf(s.term!) : s[field]]);
    return Object.fromEntries(fields) as Expected;
  }
}

const expectedFields: readonly (keyof Expected)[] = [
  "state",
  "term",
  "lead",
  "commit",
  "lastIndex",
  "terms",
  "vote",
  "transferee",
  "match",
  "reads",
  "readState",
  "proposeResult",
];

const fieldsOf = (s: Expected) => expectedFields.filter((field) => s[field] !== undefined);

/** A change takes effect here without an entry, as the upstream tests do it. */
function applyConf(node: Lone, s: Step): void {
  const m = node.r.membership();
  const next =
    s.joint === "leave" ? leaveJoint(m) : s.joint === "enter" ? enterJoint(m, false, s.changes!) : changeSimply(m, s.changes!);
  if ("reason" in next) throw new Error(next.reason);
  switchMembership(node.r, next);
}

const scenario = runner<Scenario>((c) => {
  const play = new Play(c);
  c.steps.forEach((s, i) => {
    try {
      play.run(s);
    } catch (e) {
      throw new Error(`step ${i} ${JSON.stringify(s)}: ${(e as Error).message}`, { cause: e });
    }
  });
});

const figure7 = runner<{ followerTerms: Term[]; wantTerms: Term[] }, { leaderTerms: Term[] }>((c, given) => {
  const voters = [1, 2, 3];
  const net = new Cluster();
  const leader = net.add({ id: 1, voters, terms: given.leaderTerms, term: 8, commit: given.leaderTerms.length });
  const follower = net.add({ id: 2, voters, terms: c.followerTerms, term: 7 });
  // The third member only lends its vote: cut off from the appends, it never gets an entry.
  net.on(1, (n) => n.step({ k: "campaign" }));
  net.deliver([{ from: 3, to: 1, term: leader.r.term, m: { t: "voteResp", granted: true, commit: { term: 0, index: 0 } } }]);
  net.on(1, (n) => n.step({ k: "propose", data: [oneByte] }));
  expect(leader.terms()).toEqual(c.wantTerms);
  expect(follower.terms()).toEqual(c.wantTerms);
});

const sevenNodes = runner<{ before: Record<string, Term[]>; leader: NodeId; leaderTerm: Term; after: Record<string, Term[]> }>(
  (c) => {
    const net = new Cluster();
    const voters = Object.keys(c.before).map(Number);
    for (const id of voters) {
      net.add({ id, voters, base: { index: 10, term: 1 }, terms: c.before[id]!, term: c.leaderTerm - 1 });
    }
    net.on(c.leader, (n) => n.step({ k: "campaign" }));
    expect(net.node(c.leader).r).toMatchObject({ state: "leader", term: c.leaderTerm });
    for (const id of voters) expect(net.node(id).terms(), `node ${id}`).toEqual(c.after[id]);
  },
);

export const clusterRunners: Record<string, Runner> = {
  "cluster.scenarios": scenario,
  "replication.figure7": figure7,
  "replication.figure7_seven_nodes": sevenNodes,
};
