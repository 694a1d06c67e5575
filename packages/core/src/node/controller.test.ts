import assert from "node:assert/strict";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command } from "../kernel/command.ts";
import { makePlainWorld, type PlainWorld } from "../kernel/plain-world.ts";
import { registry } from "../registry.ts";
import { emptyMemory, judgeSilence, reconcile, type Action, type Memory, type MembershipFacts } from "./controller.ts";
import type { NodeRow } from "./state.ts";

/** A cluster in a few lines: rows, a membership, logs that advance, machines that are up or down. */
class Model {
  readonly world: PlainWorld = makePlainWorld(registry);
  voters: number[] = [];
  learners: number[] = [];
  readonly up = new Set<number>();
  readonly match = new Map<number, number>();
  leader = 1;
  /** A daemon knows its own name, whatever the rows say by now. */
  leaderName = "n1";
  term = 2;
  last = 5_000;
  memory: Memory = emptyMemory;
  readonly changes: string[] = [];

  constructor(size: number) {
    const members = Array.from({ length: size }, (_, at) => ({
      name: `n${at + 1}`,
      member: at + 1,
      address: `127.0.0.1:${7001 + at}`,
    }));
    const start = { clusterId: "ab".repeat(16), size, provider: "local", configuration: {}, members };
    this.ask({ type: "InitialiseCluster", id: "c", ...start });
    for (const { member } of members) this.start(member);
    this.voters = members.map(({ member }) => member);
    this.settle();
    this.ask({ type: "MarkClusterReady", id: "c" });
  }

  start(member: number): void {
    this.up.add(member);
    this.match.set(member, this.match.get(member) ?? 0);
  }

  rows(): readonly NodeRow[] {
    return [...this.world.all<NodeRow>("node")].map(({ row }) => row);
  }

  /** A refusal is an answer like any other here. */
  ask(input: Command, name = "ops"): string {
    const type = registry.command(input.type);
    const command = type?.parse(input);
    if (type === undefined || command === undefined || "rejected" in command) throw new Error(JSON.stringify(command));
    const role = type.roles.includes("operator") && name === "ops" ? "operator" : "member";
    const decision = type.decide(this.world, command, { actor: { name, role }, at: 0, bits: "" });
    if ("rejected" in decision) return decision.reason;
    this.world.apply(decision.events);
    this.last += 1;
    return "ok";
  }

  facts(): MembershipFacts {
    const others = [...this.voters, ...this.learners].filter((member) => member !== this.leader);
    return {
      node: this.leaderName,
      member: this.leader,
      term: this.term,
      voters: this.voters,
      learners: this.learners,
      changing: false,
      last: this.last,
      progress: new Map(others.map((member) => [member, { match: this.match.get(member) ?? 0, active: this.up.has(member) }])),
      silenceMs: new Map(others.map((member) => [member, this.up.has(member) ? 10 : 60_000])),
    };
  }

  lead(member: number): void {
    this.leader = member;
    this.leaderName = this.rows().find((row) => row.member === member)?.name ?? this.leaderName;
    this.term += 1;
    this.memory = emptyMemory;
  }

  hasQuorum(): boolean {
    return this.voters.filter((member) => this.up.has(member)).length > this.voters.length / 2;
  }

  /** One look of the leader, and everything that comes of it. */
  look(): readonly Action[] {
    const facts = this.facts();
    const { actions, memory } = reconcile(this.world, facts, this.memory);
    this.memory = memory;
    assert.ok(actions.filter((action) => action.do !== "command").length <= 1, "one change at a time");
    for (const action of actions) this.carryOut(action, facts.node);
    for (const member of [...this.voters, ...this.learners]) if (this.up.has(member)) this.match.set(member, this.last);
    return actions;
  }

  private carryOut(action: Action, leader: string): void {
    if (action.do === "command") {
      assert.equal(this.ask(action.command, leader), "ok", action.command.type);
    } else if (action.do === "transfer") {
      assert.ok(this.voters.includes(action.to) && this.up.has(action.to), "only a voter that runs can lead");
      this.lead(action.to);
    } else {
      for (const { op, member } of action.changes) {
        this.changes.push(`${op} ${member}`);
        this.voters = this.voters.filter((one) => one !== member);
        this.learners = this.learners.filter((one) => one !== member);
        if (op === "addVoter") this.voters.push(member);
        if (op === "addLearner") this.learners.push(member);
      }
      assert.ok(this.hasQuorum(), "no change may lose the quorum");
      assert.ok(this.voters.includes(this.leader), "no leader removes itself");
    }
  }

  /** Looks until nothing is left to do; fails if that does not happen soon. */
  settle(): void {
    for (let look = 0; look < 100; look++) if (this.look().length === 0 && this.learnersSettled()) return;
    throw new Error(`it does not settle: ${JSON.stringify(reconcile(this.world, this.facts(), this.memory).actions)}`);
  }

  /** A running learner is still counting its rounds. */
  private learnersSettled(): boolean {
    return this.learners.every((member) => !this.up.has(member));
  }

  wanted(): readonly number[] {
    return this.rows()
      .filter((row) => !row.left && row.address !== null && row.duty !== "shutting-down")
      .map(({ member }) => member)
      .toSorted((a, b) => a - b);
  }
}

const sorted = (list: readonly number[]): readonly number[] => list.toSorted((a, b) => a - b);

describe("the membership follows the rows", () => {
  it("admits the first voters, records its leader, and is then silent", () => {
    const m = new Model(3);
    expect(m.rows().map(({ duty, contact }) => `${duty} ${contact}`)).toEqual(Array(3).fill("on-duty reachable"));
    expect(m.world.get("cluster", "c")?.row).toMatchObject({ leader: { node: "n1", member: 1, term: 2 } });
    expect(m.look()).toEqual([]);
  });

  it("takes new nodes in as learners, and lets them vote only once they have caught up", () => {
    const m = new Model(3);
    m.ask({ type: "ScaleCluster", id: "c", size: 5 });
    expect(m.look()).toEqual([]);
    m.ask({ type: "JoinNode", id: "n4", address: "127.0.0.1:7004" }, "n4");
    m.look();
    expect(m.learners).toEqual([4]);
    m.settle();
    expect(m.voters).toEqual([1, 2, 3]);
    m.start(4);
    m.settle();
    expect(m.changes).toEqual(["addLearner 4", "addVoter 4"]);
    expect(m.world.get<NodeRow>("node", "n4")?.row.duty).toBe("on-duty");
  });

  it("promotes no learner in its first round, nor one that lags behind", () => {
    const m = new Model(1);
    m.ask({ type: "ScaleCluster", id: "c", size: 3 });
    m.ask({ type: "JoinNode", id: "n2", address: "127.0.0.1:7002" }, "n2");
    m.look();
    const at = (match: number, memory: Memory) =>
      reconcile(
        m.world,
        { ...m.facts(), last: 500_000, progress: new Map([[2, { match, active: true }]]), silenceMs: new Map() },
        memory,
      );
    const caughtUp = { rounds: new Map([[2, { done: 2, target: 600_000 }]]) };
    expect(at(500_000, emptyMemory).actions).toEqual([]);
    expect(at(498_999, caughtUp).actions).toEqual([]);
    expect(at(499_000, caughtUp).actions).toMatchObject([{ do: "change", changes: [{ op: "addVoter", member: 2 }] }]);
  });

  it("replaces a member whose disk is lost: out with the old number, in with the new", () => {
    const m = new Model(3);
    m.up.delete(3);
    m.ask({ type: "RejoinNode", id: "n3", member: 3, verdict: "lost-crc", address: "127.0.0.1:7003" }, "n3");
    m.start(4);
    m.settle();
    expect(m.changes).toEqual(["remove 3", "addLearner 4", "addVoter 4"]);
    expect(sorted(m.voters)).toEqual([1, 2, 4]);
  });

  it("hands leadership over before a leader drains, and again before it leaves", () => {
    const m = new Model(3);
    m.ask({ type: "DrainNode", id: "n1" });
    m.settle();
    expect(m.leader).toBe(2);
    expect(m.world.get<NodeRow>("node", "n1")?.row.duty).toBe("decommissioned");
    expect(m.voters).toContain(1);
    m.lead(1);
    m.ask({ type: "ShutDownNode", id: "n1" });
    m.settle();
    expect(m.leader).not.toBe(1);
    expect(sorted(m.voters)).toEqual([2, 3]);
    expect(m.world.get<NodeRow>("node", "n1")?.row.left).toBe(true);
  });

  it("lets a leader go whose node was taken over under another number", () => {
    const m = new Model(3);
    m.ask({ type: "RejoinNode", id: "n1", member: 1, verdict: "wiped", address: "127.0.0.1:7001" }, "n1");
    m.start(4);
    m.settle();
    expect(m.leader).toBe(2);
    expect(sorted(m.voters)).toEqual([2, 3, 4]);
  });

  it("never removes the leader itself, also when nobody could take over", () => {
    const m = new Model(3);
    m.ask({ type: "ShutDownNode", id: "n1", force: true, reason: "test" });
    const silent = new Map([2, 3].map((member) => [member, { match: 1, active: false }]));
    const { actions } = reconcile(m.world, { ...m.facts(), voters: [1], progress: silent }, emptyMemory);
    expect(actions.filter((action) => action.do === "change" && action.changes.some(({ op }) => op === "remove"))).toEqual([]);
  });

  it("removes nobody when those that are left would not be a quorum", () => {
    const m = new Model(4);
    m.up.delete(4);
    m.ask({ type: "ShutDownNode", id: "n3", force: true, reason: "test" });
    const actions = reconcile(
      m.world,
      {
        ...m.facts(),
        progress: new Map([
          [2, { match: 1, active: false }],
          [3, { match: 1, active: true }],
        ]),
      },
      emptyMemory,
    );
    expect(actions.actions.filter((action) => action.do === "change")).toEqual([]);
  });

  it("waits while a change is under way", () => {
    const m = new Model(3);
    m.up.delete(3);
    m.ask({ type: "ShutDownNode", id: "n3", force: true, reason: "test" });
    expect(reconcile(m.world, { ...m.facts(), changing: true }, emptyMemory).actions.filter((a) => a.do !== "command")).toEqual(
      [],
    );
  });

  it("does nothing at all before there is a cluster", () => {
    const m = new Model(3);
    expect(reconcile(makePlainWorld(registry), m.facts(), emptyMemory).actions).toEqual([]);
  });
});

describe("contact", () => {
  it("is judged by silence and changes no duty", () => {
    expect([0, 2_999, 3_000, 14_999, 15_000].map(judgeSilence)).toEqual([
      "reachable",
      "reachable",
      "suspected",
      "suspected",
      "lost",
    ]);
    const m = new Model(3);
    m.up.delete(2);
    m.settle();
    expect(m.world.get<NodeRow>("node", "n2")?.row).toMatchObject({ duty: "on-duty", contact: "lost" });
    m.up.add(2);
    m.settle();
    expect(m.world.get<NodeRow>("node", "n2")?.row).toMatchObject({ duty: "on-duty", contact: "reachable" });
  });
});

describe("from any world", () => {
  it("the membership converges to the rows, never over a lost quorum, and then nothing is left to do", () => {
    const step = fc.record({
      kind: fc.constantFrom("scale", "join", "rejoin", "crash", "start", "drain", "undrain", "shutdown", "force", "look"),
      n: fc.nat(8),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(step, { maxLength: 25 }), (size, steps) => {
        const m = new Model(size);
        for (const { kind, n } of steps) disturb(m, kind, n);
        for (const { member } of m.rows()) m.start(member);
        m.settle();
        expect(sorted(m.voters)).toEqual(m.wanted());
        expect(m.learners).toEqual([]);
        expect(m.look()).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

/** Something that operators, nodes or machines might do; what the rules refuse does not happen. Quorum is kept, as a leader needs it. */
function disturb(m: Model, kind: string, n: number): void {
  const rows = m.rows();
  const row = rows[n % rows.length];
  if (row === undefined) return;
  const { name: id, member } = row;
  const address = `127.0.0.1:${7001 + (n % 9)}`;
  if (kind === "scale") m.ask({ type: "ScaleCluster", id: "c", size: 1 + (n % 7) });
  if (kind === "join") m.ask({ type: "JoinNode", id, address }, id);
  if (kind === "rejoin" && keepsQuorum(m, member)) {
    const taken = m.ask({ type: "RejoinNode", id, member, verdict: "wiped", address }, id) === "ok";
    if (taken && member !== m.leader) m.up.delete(member);
  }
  if (kind === "crash" && member !== m.leader && keepsQuorum(m, member)) m.up.delete(member);
  if (kind === "start") m.start(member);
  if (kind === "drain") m.ask({ type: "DrainNode", id });
  if (kind === "undrain") m.ask({ type: "UndrainNode", id });
  if (kind === "shutdown") m.ask({ type: "ShutDownNode", id });
  if (kind === "force") m.ask({ type: "ShutDownNode", id, force: true, reason: "test" });
  if (kind === "look") m.look();
}

const keepsQuorum = (m: Model, without: number): boolean =>
  m.voters.filter((member) => member !== without && m.up.has(member)).length > m.voters.length / 2;
