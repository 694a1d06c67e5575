import { describe, expect, it } from "vitest";
import { noPeers, rememberPeers } from "./peer-memory.ts";
import type { InstanceId, Peer } from "./provider.ts";

const peer = (node: string, state: Peer["state"] = "running"): Peer => ({
  node,
  address: `10.0.0.1:${node.slice(1)}`,
  instance: node as InstanceId,
  state,
});
const nodes = (polls: readonly (readonly Peer[] | null)[]): readonly string[] =>
  polls.reduce(rememberPeers, noPeers).peers.map(({ node }) => node);
const [all, two] = [
  [peer("n1"), peer("n2"), peer("n3")],
  [peer("n1"), peer("n3")],
];

describe("the memory of peers", () => {
  it("keeps a peer that one answer left out, and forgets it after the second", () => {
    expect(nodes([all, two])).toEqual(["n1", "n2", "n3"]);
    expect(nodes([all, two, two])).toEqual(["n1", "n3"]);
    expect(nodes([all, two, all, two])).toEqual(["n1", "n2", "n3"]);
  });

  it("takes no failure for an answer, however many there are", () => {
    expect(nodes([all, null, null, null])).toEqual(["n1", "n2", "n3"]);
    expect(nodes([all, two, null, null])).toEqual(["n1", "n2", "n3"]);
    expect([null, null].reduce(rememberPeers, noPeers)).toMatchObject({ failures: 2, peers: [] });
    expect([null, all].reduce(rememberPeers, noPeers).failures).toBe(0);
  });

  it("believes the newest answer about those it names", () => {
    const memory = [all, [peer("n1", "stopped"), peer("n2"), peer("n3")]].reduce(rememberPeers, noPeers);
    expect(memory.peers.map(({ state }) => state)).toEqual(["stopped", "running", "running"]);
  });
});
