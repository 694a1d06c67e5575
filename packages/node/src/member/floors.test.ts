import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CoreStatus, Progress } from "@aether/raft/types";
import { floorsOfLeader, missingBelow, openFloors } from "./floors.ts";

const cluster = "00112233445566778899aabbccddeeff";
const progress = (match: number): Progress => ({
  state: "replicate",
  match,
  next: match + 1,
  inflight: 0,
  paused: false,
  learner: false,
  active: true,
});
const statusOf = (state: "leader" | "follower", commit: number, matches: readonly [number, number][]): CoreStatus => ({
  id: 1,
  role: { state, term: 7, leader: 1 },
  hard: { term: 7, vote: 1, commit },
  applied: commit,
  last: { term: 7, index: 100 },
  membership: { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false },
  progress: new Map(matches.map(([id, match]) => [id, progress(match)])),
  transferee: 0,
  rejectedMessages: 0,
});

describe("floors", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "aether-floors-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("only rise, and outlive the process", async () => {
    const path = join(folder, "floors.json");
    const floors = await openFloors(path, cluster);
    floors.raise(2, { term: 3, index: 40 });
    floors.raise(2, { term: 4, index: 10 });
    await floors.save();
    const again = await openFloors(path, cluster);
    expect(again.of(2)).toEqual({ term: 4, index: 40 });
    expect(again.of(3)).toBeUndefined();
  });

  it("write nothing when nothing rose", async () => {
    const path = join(folder, "floors.json");
    const floors = await openFloors(path, cluster);
    floors.raise(2, { term: 3, index: 40 });
    await floors.save();
    writeFileSync(path, "marker");
    floors.raise(2, { term: 3, index: 39 });
    await floors.save();
    expect(readFileSync(path, "utf8")).toBe("marker");
  });

  it("that the disk refused are written with the next save, though nothing rose since", async () => {
    const path = join(folder, "floors.json");
    const floors = await openFloors(path, cluster);
    floors.raise(2, { term: 3, index: 40 });
    mkdirSync(`${path}.tmp`);
    await expect(floors.save()).rejects.toThrow("EISDIR");
    rmdirSync(`${path}.tmp`);
    await floors.save();
    expect((await openFloors(path, cluster)).of(2)).toEqual({ term: 3, index: 40 });
  });

  it("say nothing of another cluster's members", async () => {
    const path = join(folder, "floors.json");
    const floors = await openFloors(path, "ffffffffffffffffffffffffffffffff");
    floors.raise(2, { term: 9, index: 900 });
    await floors.save();
    expect((await openFloors(path, cluster)).all()).toEqual({});
  });

  it("count only what is committed: an uncommitted tail may be truncated by a later leader", () => {
    const floors = floorsOfLeader(
      statusOf("leader", 50, [
        [1, 100],
        [2, 90],
        [3, 20],
        [4, 0],
      ]),
    );
    expect([...floors]).toEqual([
      [1, { term: 7, index: 50 }],
      [2, { term: 7, index: 50 }],
      [3, { term: 7, index: 20 }],
    ]);
    expect(floorsOfLeader(statusOf("follower", 50, [[2, 50]])).size).toBe(0);
  });

  it("tell an older copy of a disk from a disk that is merely behind", () => {
    const floor = { term: 7, index: 50 };
    expect(missingBelow(floor, { term: 7, index: 50 }, 7)).toBeNull();
    expect(missingBelow(floor, { term: 7, index: 49 }, 7)).toContain("acknowledged entries up to 50");
    expect(missingBelow(floor, { term: 6, index: 60 }, 6)).toContain("took part in term 7");
    expect(missingBelow(undefined, { term: 0, index: 0 }, 0)).toBeNull();
  });
});
