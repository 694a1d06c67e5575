import { describe, expect, it } from "vitest";
import type { CoreStatus, Progress, RaftNode } from "@aether/raft/types";
import { handOver, pickSuccessor } from "./handover.ts";

const progress = (match: number, over: Partial<Progress> = {}): Progress => ({
  state: "replicate",
  match,
  next: match + 1,
  inflight: 0,
  paused: false,
  learner: false,
  active: true,
  ...over,
});
const status = (others: readonly [number, Progress][], over: Partial<CoreStatus> = {}): CoreStatus => ({
  id: 1,
  role: { state: "leader", term: 3, leader: 1 },
  hard: { term: 3, vote: 1, commit: 90 },
  applied: 90,
  last: { term: 3, index: 100 },
  membership: { voters: [1, 2, 3, 4], outgoing: [], learners: [5], learnersNext: [], autoLeave: false },
  progress: new Map([[1, progress(100)], ...others]),
  transferee: 0,
  rejectedMessages: 0,
  ...over,
});

describe("handing over leadership", () => {
  it("picks the voter that is in contact and furthest along", () => {
    const others: [number, Progress][] = [
      [2, progress(90)],
      [3, progress(99)],
      [4, progress(100, { active: false })],
      [5, progress(100, { learner: true })],
    ];
    expect(pickSuccessor(status(others))).toBe(3);
  });

  it("finds nobody when nobody is in contact, and asks nobody when it does not lead", async () => {
    expect(pickSuccessor(status([[2, progress(90, { active: false })]]))).toBeUndefined();
    const asked: number[] = [];
    const raft = {
      status: () => status([[2, progress(90)]], { role: { state: "follower", term: 3, leader: 2 } }),
      transfer: (to: number) => Promise.resolve(void asked.push(to)),
    } as unknown as RaftNode;
    expect(await handOver(raft, 100)).toBe("nothingToDo");
    expect(asked).toEqual([]);
  });

  it("says why it could not hand over, without failing", async () => {
    const raft = {
      status: () => status([[2, progress(90)]]),
      transfer: () => Promise.reject(new Error("deadline")),
    } as unknown as RaftNode;
    expect(await handOver(raft, 100)).toEqual({ failed: "deadline" });
  });
});
