import { describe, expect, it } from "vitest";
import type { NodeId, SnapshotStore } from "@aether/raft/types";
import { makeStream } from "../world/stream.ts";
import { Process, World } from "../world/world.ts";
import type { Endpoint } from "./endpoint.ts";
import { calm, Network } from "./network.ts";

const noSnapshots = {} as SnapshotStore;

interface Three {
  readonly world: World;
  readonly network: Network;
  readonly endpoints: readonly [Endpoint, Endpoint, Endpoint];
  /** "who hears of whom", in order. */
  readonly told: string[];
}

/** Three members in a network that tells after 10 ms on average. */
function three(goneMs = 10): Three {
  const world = new World();
  const stream = (concern: string): ReturnType<typeof makeStream> => makeStream(1, concern);
  const streams = { messages: stream("messages"), cutting: stream("cutting"), dialling: stream("dialling") };
  const network = new Network(world, { ...calm, goneMs }, streams);
  const told: string[] = [];
  const join = (id: NodeId): Endpoint => {
    const endpoint = network.join(id, `n${id}`, new Process(`n${id}`), noSnapshots);
    endpoint.setPeers([1, 2, 3].filter((other) => other !== id).map((other) => ({ id: other, address: "" })));
    endpoint.onGone = (gone) => told.push(`${id} of ${gone}`);
    return endpoint;
  };
  return { world, network, endpoints: [join(1), join(2), join(3)], told };
}

const pass = (world: World, ms: number): Promise<boolean> =>
  world.run(
    world.now + ms,
    () => false,
    () => undefined,
  );

describe("the network tells that a process is gone", () => {
  it("to all whose dial is refused, and to nobody across a cut link until it is healed", async () => {
    const { world, network, endpoints, told } = three();
    network.cut("n1", "n3");
    endpoints[0].process.die();
    expect(told).toEqual([]);
    await pass(world, 20);
    expect(new Set(told)).toEqual(new Set(["2 of 1"]));
    network.heal();
    await pass(world, 1_000);
    expect(new Set(told)).toEqual(new Set(["2 of 1", "3 of 1"]));
    expect(network.counts.goneTold).toBe(told.length);
  });

  it("not of one that is back before anybody has dialled, nor where it is left out", async () => {
    const { world, network, endpoints, told } = three();
    endpoints[0].process.die();
    network.join(1, "n1", new Process("n1"), noSnapshots);
    await pass(world, 1_000);
    const quiet = three(0);
    quiet.endpoints[0].process.die();
    await pass(quiet.world, 1_000);
    expect([told, quiet.told]).toEqual([[], []]);
  });

  it("wrongly, of two that live and are reset, who then hear nothing of each other until it is mended", async () => {
    const { world, network, endpoints, told } = three();
    const [one, two] = endpoints;
    const heard: NodeId[] = [];
    two.onRecv = (messages) => heard.push(...messages.map(({ from }) => from));
    const beat = (): void => one.send([{ from: 1, to: 2, term: 1, m: { t: "hb", commit: 0, readPos: 0 } }]);
    beat();
    network.reset(one, two);
    expect(told).toEqual(["1 of 2", "2 of 1"]);
    beat();
    await pass(world, 1_000);
    expect(heard).toEqual([]);
    network.mend("n1", "n2");
    beat();
    await pass(world, 1_000);
    expect(heard).toEqual([1]);
  });
});
