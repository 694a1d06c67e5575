import { describe, expect, it } from "vitest";
import type { Decision } from "./kernel/command.ts";
import type { Identity } from "./kernel/event.ts";
import { makePlainWorld, type PlainWorld } from "./kernel/plain-world.ts";
import { registry } from "./registry.ts";

const operator: Identity = { name: "ops", role: "operator" };
const as = (name: string): Identity => ({ name, role: "member" });

/** Parses, decides and applies, as the store would. */
function run(
  world: PlainWorld,
  input: { type: string; id: string; [field: string]: unknown },
  actor: Identity = operator,
): Decision {
  const type = registry.command(input.type);
  if (type === undefined) throw new Error(`no command ${input.type}`);
  const command = type.parse(input);
  if ("rejected" in command) throw new Error(JSON.stringify(command));
  const decision = type.decide(world, command, { actor, at: 1, bits: "0".repeat(32) });
  if (!("rejected" in decision)) world.apply(decision.events, { actor });
  return decision;
}

const members = [1, 2, 3].map((member) => ({ name: `n${member}`, member, address: `127.0.0.1:740${member}` }));
const initialise = {
  type: "InitialiseCluster",
  id: "home",
  clusterId: "ab".repeat(16),
  size: 3,
  provider: "local",
  configuration: {},
  members,
};

describe("the registry, as a cluster lives", () => {
  it("tells the story of a cluster from its first command to a node that has left", () => {
    const world = makePlainWorld(registry);
    run(world, initialise);
    expect(run(world, initialise)).toEqual({ events: [] });
    expect(run(world, { type: "MarkClusterReady", id: "home" })).toMatchObject({ reason: "not_ready" });
    for (const { name, member } of members) run(world, { type: "AdmitNode", id: name, member }, as("n1"));
    run(world, { type: "MarkClusterReady", id: "home" });
    expect(run(world, { type: "ScaleCluster", id: "home", size: 5 })).toMatchObject({
      answer: {
        expected: [
          { name: "n4", member: 4 },
          { name: "n5", member: 5 },
        ],
        surplus: 0,
      },
    });
    expect(run(world, { type: "JoinNode", id: "n4", address: "127.0.0.1:7404" }, as("n4"))).toMatchObject({
      answer: { member: 4 },
    });
    run(world, { type: "AdmitNode", id: "n4", member: 4 }, as("n1"));
    run(world, { type: "DrainNode", id: "n4" });
    run(world, { type: "CompleteDrain", id: "n4" }, as("n1"));
    run(world, { type: "ShutDownNode", id: "n4" });
    run(world, { type: "RecordNodeLeft", id: "n4", member: 4 }, as("n1"));
    expect(world.get("node", "n4")?.row).toMatchObject({ duty: "shutting-down", left: true });
    run(world, { type: "ForgetNode", id: "n4" });
    expect(world.get("node", "n4")).toBeUndefined();
    expect(world.get("cluster", "home")?.row).toMatchObject({ state: "ready", size: 5, nextMember: 6 });
  });
});
