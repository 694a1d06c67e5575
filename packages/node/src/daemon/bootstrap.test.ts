import { describe, expect, it } from "vitest";
import type { PeerNotes } from "../member/peer-notes.ts";
import { judgeBootstrap, judgeWitnesses, type BootstrapFacts, type BootstrapRequest } from "./bootstrap.ts";
import { findPlace } from "./take-in.ts";

const id = "00112233445566778899aabbccddeeff";
const facts: BootstrapFacts = { clusterId: id, clusterName: "demo", node: "n2", member: 2, hadMember: false };
const seat = (member: number) => ({ name: `n${member}`, member, address: `10.0.0.${member}:7400` });
const request: BootstrapRequest = { cluster: { id, name: "demo" }, members: [seat(1), seat(2), seat(3)] };
const notes = (over: Partial<PeerNotes>): PeerNotes => ({
  clusterId: id,
  node: "n1",
  build: "1.0.0",
  member: 1,
  initialised: false,
  term: 1,
  applied: 1,
  last: 1,
  leader: null,
  voters: [1, 2, 3],
  learners: [],
  floors: {},
  checkpoints: [],
  nodes: [],
  ...over,
});
const row = (over: Partial<PeerNotes["nodes"][number]>) => ({
  name: "n2",
  member: 2,
  address: "10.0.0.2:7400",
  duty: "on-duty",
  joined: true,
  left: false,
  ...over,
});

describe("bootstrap", () => {
  it("takes the list that names this node by its number", () => {
    expect(judgeBootstrap(request, facts)).toBeNull();
  });

  it("refuses another cluster, a list without this node, and a list that repeats itself", () => {
    expect(judgeBootstrap({ ...request, cluster: { id: id.toUpperCase(), name: "demo" } }, facts)?.reason).toBe("conflict");
    expect(judgeBootstrap({ ...request, members: [seat(1), seat(3)] }, facts)?.reason).toBe("conflict");
    expect(judgeBootstrap({ ...request, members: [seat(1), { ...seat(2), member: 9 }] }, facts)?.reason).toBe("conflict");
    expect(judgeBootstrap({ ...request, members: [seat(2), seat(2)] }, facts)?.reason).toBe("invalid");
    expect(judgeBootstrap({ ...request, members: [] }, facts)?.reason).toBe("invalid");
  });

  it("never makes a member that lost its log a first voter again", () => {
    expect(judgeBootstrap(request, { ...facts, hadMember: true })?.reason).toBe("conflict");
    expect(judgeWitnesses(2, [notes({ floors: { "2": { term: 1, index: 4 } } })])?.reason).toBe("conflict");
    expect(judgeWitnesses(2, [notes({}), notes({ initialised: true })])?.reason).toBe("conflict");
    expect(judgeWitnesses(2, [notes({ floors: { "3": { term: 1, index: 4 } } })])).toBeNull();
    expect(judgeWitnesses(2, [])).toBeNull();
  });
});

describe("finding one's place in a running cluster", () => {
  it("waits while there is nobody, no cluster or no row", () => {
    expect(findPlace("n2", []).v).toBe("wait");
    expect(findPlace("n2", [notes({})]).v).toBe("wait");
    expect(findPlace("n2", [notes({ initialised: true })]).v).toBe("wait");
  });

  it("joins when expected, and comes back under a new number when it had joined", () => {
    const expected = notes({ initialised: true, nodes: [row({ joined: false, address: null, duty: "joining" })] });
    expect(findPlace("n2", [expected])).toEqual({ v: "join" });
    expect(findPlace("n2", [notes({ initialised: true, nodes: [row({})] })])).toEqual({ v: "rejoin", old: 2 });
  });

  it("does not come back into a cluster that it has left", () => {
    for (const gone of [{ left: true }, { duty: "shutting-down" }]) {
      expect(findPlace("n2", [notes({ initialised: true, nodes: [row(gone)] })]).v).toBe("out");
    }
  });

  it("believes whoever has applied most", () => {
    const old = notes({ initialised: true, applied: 5, nodes: [row({ joined: false })] });
    const fresh = notes({ initialised: true, applied: 50, nodes: [row({ member: 4 })] });
    expect(findPlace("n2", [old, fresh])).toEqual({ v: "rejoin", old: 4 });
  });
});
