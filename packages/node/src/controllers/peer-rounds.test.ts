import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CoreStatus } from "@aether/raft/types";
import type { EventStore, StateDigest } from "@aether/store/types";
import { openFloors } from "../member/floors.ts";
import type { PeerNotes } from "../member/peer-notes.ts";
import { runRound, type PeerRoundsOptions } from "./peer-rounds.ts";

const clusterId = "00112233445566778899aabbccddeeff";
const notesOf = (member: number, over: Partial<PeerNotes> = {}): PeerNotes => ({
  clusterId,
  node: `n${member}`,
  build: "1.0.0",
  member,
  initialised: true,
  term: 3,
  applied: 100,
  last: 100,
  leader: null,
  voters: [1, 2, 3],
  learners: [],
  floors: {},
  checkpoints: [],
  nodes: [1, 2, 3].map((m) => ({ name: `n${m}`, member: m, address: null, duty: "on-duty", joined: true, left: false })),
  ...over,
});

describe("a round of notes", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-rounds-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const round = async (notes: readonly PeerNotes[], checkpoints: readonly StateDigest[] = [], stopped = false) => {
    const said: string[] = [];
    const floors = await openFloors(join(folder, "floors.json"), clusterId);
    const membership = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
    const options: PeerRoundsOptions = {
      node: "n3",
      member: 3,
      build: "1.0.0",
      store: { applied: 90, membership, checkpoints } as unknown as EventStore,
      status: () => ({ role: { state: "follower", term: 3, leader: 1 } }) as CoreStatus,
      floors,
      ask: () => Promise.resolve(notes),
      ownRow: () => ({ name: "n3", member: 3, left: false }),
      onAlone: (v) => said.push(`alone at ${v.index}`),
      onDeparture: (v) => said.push(v.v),
      onError: (error) => said.push(error.message),
    };
    await runRound(options, () => stopped);
    return { said, floors };
  };

  it("writes down what others know of everybody's disks", async () => {
    const { floors, said } = await round([notesOf(1, { floors: { "2": { term: 3, index: 50 } } })]);
    expect(floors.of(2)).toEqual({ term: 3, index: 50 });
    expect(JSON.parse(readFileSync(join(folder, "floors.json"), "utf8"))).toMatchObject({ floors: { "2": { index: 50 } } });
    expect(said).toEqual([]);
  });

  it("finds that this member's world is not the quorum's, and that one other opinion is no quorum", async () => {
    const theirs = { checkpoints: [{ index: 80, digest: "aa" }] };
    const own = [{ index: 80, digest: "bb" }];
    expect((await round([notesOf(1, theirs), notesOf(2, theirs)], own)).said).toEqual(["alone at 80"]);
    expect((await round([notesOf(1, theirs)], own)).said).toEqual([]);
    expect((await round([notesOf(1, theirs), notesOf(2, theirs)], theirs.checkpoints)).said).toEqual([]);
    const newer = { ...theirs, build: "2.0.0" };
    expect((await round([notesOf(1, newer), notesOf(2, newer)], own)).said).toEqual([]);
  });

  it("finds that it has left or was replaced, but not from somebody without a cluster", async () => {
    const nodes = notesOf(1).nodes.map((row) => (row.member === 3 ? { ...row, left: true } : row));
    expect((await round([notesOf(1, { nodes })])).said).toEqual(["left"]);
    const replaced = notesOf(1).nodes.map((row) => (row.member === 3 ? { ...row, member: 9 } : row));
    expect((await round([notesOf(1, { nodes: replaced, voters: [1, 2, 9] })])).said).toEqual(["removed"]);
    expect((await round([notesOf(1, { nodes: [], voters: [], initialised: false })])).said).toEqual([]);
  });

  it("says nothing any more once it has been stopped", async () => {
    const nodes = notesOf(1).nodes.map((row) => ({ ...row, left: true }));
    expect((await round([notesOf(1, { nodes })], [], true)).said).toEqual([]);
  });
});
