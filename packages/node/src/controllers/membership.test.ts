import { describe, expect, it } from "vitest";
import type { Command } from "@aether/core/kernel/command";
import { makePlainWorld } from "@aether/core/kernel/plain-world";
import { registry } from "@aether/core/registry";
import { ChangeRefused } from "@aether/raft/errors";
import type { Change, CoreStatus, Progress, RaftNode } from "@aether/raft/types";
import { makeLog } from "../daemon/log.ts";
import { factsOf, makeMembershipKeeper } from "./membership.ts";

const progress = (match: number, learner = false): Progress => ({
  state: "replicate",
  match,
  next: match + 1,
  inflight: 0,
  paused: false,
  learner,
  active: true,
});
const status = (over: Partial<CoreStatus> = {}): CoreStatus => ({
  id: 1,
  role: { state: "leader", term: 4, leader: 1 },
  hard: { term: 4, vote: 1, commit: 50 },
  applied: 50,
  last: { term: 4, index: 50 },
  membership: { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
  progress: new Map([1, 2, 3].map((id) => [id, progress(50)])),
  transferee: 0,
  rejectedMessages: 0,
  ...over,
});

/** A world of three on-duty nodes, and what the keeper does about it. */
const arrange = (current: CoreStatus, change: (c: readonly Change[]) => Promise<unknown> = () => Promise.resolve()) => {
  const world = makePlainWorld(registry);
  const act = (command: Command, name: string, role: "operator" | "member"): void => {
    const decision = registry.command(command.type)?.decide(world, command, { actor: { name, role }, at: 0, bits: "" });
    if (decision === undefined || "rejected" in decision) throw new Error(JSON.stringify(decision));
    world.apply(decision.events);
  };
  const members = [1, 2, 3].map((member) => ({ name: `n${member}`, member, address: `10.0.0.${member}:1` }));
  const start = { type: "InitialiseCluster", id: "c", clusterId: "a".repeat(32), size: 3, provider: "local" };
  act({ ...start, configuration: {}, members }, "ops", "operator");
  const submitted: Command[] = [];
  const lines: string[] = [];
  const keeper = makeMembershipKeeper({
    node: "n1",
    world,
    raft: { status: () => current, change, transfer: () => Promise.resolve() } as unknown as RaftNode,
    silenceOf: (ids) => (current.role.state === "leader" ? new Map(ids.map((id) => [id, 0])) : null),
    submit: (command) => {
      submitted.push(command);
      act(command, "n1", "member");
      return Promise.resolve({ ok: true, index: 1, version: 1, changed: true, replayed: false });
    },
    log: makeLog(
      (line) => lines.push(line),
      () => new Date(0),
    ),
  });
  return { world, act, submitted, lines, keeper };
};

describe("keeping the membership", () => {
  it("records the leader, admits first voters, and is silent when all is as wanted", async () => {
    const t = arrange(status());
    await t.keeper.look();
    await t.keeper.look();
    expect(t.submitted.map((c) => c.type)).toContain("RecordLeader");
    expect(t.submitted.filter((c) => c.type === "AdmitNode").map((c) => c.id)).toEqual(["n1", "n2", "n3"]);
    const before = t.submitted.length;
    await t.keeper.look();
    expect(t.submitted).toHaveLength(before);
  });

  it("does nothing at all when it does not lead", async () => {
    const t = arrange(status({ role: { state: "follower", term: 4, leader: 2 }, progress: new Map() }));
    await t.keeper.look();
    expect(t.submitted).toEqual([]);
  });

  it("takes a refused change for an answer, and asks again at the next look", async () => {
    const asked: string[] = [];
    const replaced = status({
      membership: { voters: [1, 2, 3, 9], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
      progress: new Map([1, 2, 3, 9].map((id) => [id, progress(50)])),
    });
    const t = arrange(replaced, (changes) => {
      asked.push(changes.map((c) => `${c.op} ${c.id}`).join());
      return Promise.reject(new ChangeRefused("configPending", 1));
    });
    await t.keeper.look();
    await t.keeper.look();
    expect(asked).toEqual(["remove 9", "remove 9"]);
    expect(t.lines.filter((line) => line.includes("membership-refused")).join()).toContain("configPending");
  });

  it("shows the rule a change or a transfer under way", () => {
    expect(factsOf("n1", status(), new Map()).changing).toBe(false);
    expect(factsOf("n1", status({ transferee: 2 }), new Map()).changing).toBe(true);
    const joint = { voters: [1, 2], outgoing: [1, 2, 3], learners: [], learnersNext: [], autoLeave: true };
    expect(factsOf("n1", status({ membership: joint }), new Map()).changing).toBe(true);
  });
});
