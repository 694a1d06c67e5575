import { describe, expect, it } from "vitest";
import { Lone } from "../cases/lone.ts";
import type { Envelope } from "../types.ts";

const nothing = { index: 0, term: 0 };

function kindsTo(id: number, sent: readonly Envelope[]): string[] {
  return sent.filter((e) => e.to === id).map((e) => e.m.t);
}

describe("an election", () => {
  it("is left to the member that got this one's vote, for a whole timeout", () => {
    const lone = new Lone({ term: 2 });
    for (let i = 0; i < 9; i++) lone.step({ k: "tick" });
    lone.receive(2, { t: "vote", last: nothing, transfer: false }, 2);
    for (let i = 0; i < 9; i++) lone.step({ k: "tick" });
    expect(lone.r.state).toBe("follower");
    lone.step({ k: "tick" });
    expect(lone.r.state).toBe("candidate");
  });

  it("counts one vote a member, however often it is heard", () => {
    const lone = new Lone({ voters: [1, 2, 3, 4, 5] });
    lone.step({ k: "campaign" });
    lone.settle();
    for (let i = 0; i < 3; i++) lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
    expect(lone.r.state).toBe("candidate");
    lone.receive(3, { t: "voteResp", granted: true, commit: nothing });
    expect(lone.r.state).toBe("leader");
  });

  it("is not begun on the word of an earlier pre-vote", () => {
    const lone = new Lone({ term: 4, options: { preVote: true } });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "preVoteResp", granted: true, commit: nothing }, 4);
    expect(lone.r).toMatchObject({ state: "preCandidate", term: 4 });
    lone.receive(2, { t: "preVoteResp", granted: true, commit: nothing }, 5);
    expect(lone.r).toMatchObject({ state: "candidate", term: 5 });
  });

  it("is not begun by a member that was told it is removed, nor while a snapshot is being installed, nor on a sick disk", () => {
    const told = new Lone();
    told.receive(2, { t: "removed" });
    const sick = new Lone();
    sick.step({ k: "stall", sick: true });
    for (const lone of [told, sick]) {
      for (let i = 0; i < 50; i++) lone.step({ k: "tick" });
      lone.step({ k: "campaign" });
      lone.receive(2, { t: "timeoutNow" });
      expect(lone.r.state).toBe("follower");
    }
    sick.step({ k: "stall", sick: false });
    sick.step({ k: "campaign" });
    expect(sick.r.state).toBe("candidate");
  });

  it("comes a tick earlier for each step of priority, never before the base timeout", () => {
    const timeout = (priority: number, draw: number) => new Lone({ options: { priority, rng: () => draw } }).r.electionTimeout;
    expect([0, 1, 2, 3].map((priority) => timeout(priority, 0.5))).toEqual([15, 14, 13, 12]);
    expect(timeout(3, 0.1)).toBe(10);
  });
});

describe("the turn's batching", () => {
  it("sends one append for many proposals and one round of heartbeats for many reads", () => {
    const lone = new Lone();
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
    lone.settle();
    lone.receive(2, { t: "appResp", index: 1, reject: null });
    lone.settle();
    for (let i = 0; i < 100; i++) lone.step({ k: "propose", data: [Uint8Array.of(i)] });
    for (let i = 0; i < 50; i++) lone.step({ k: "read", key: i });
    expect(kindsTo(2, lone.settle())).toEqual(["app", "hb"]);
    lone.receive(2, { t: "hbResp", readPos: 50 });
    lone.settle();
    expect(lone.reads.map((read) => read.key)).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});

describe("who is there", () => {
  it("is told of the period before as well, so that nobody seems gone just after one has begun", () => {
    const lone = new Lone({ term: 1 });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
    lone.settle();
    const there = (): boolean | undefined => lone.r.tracker.find(2)?.view().active;
    lone.receive(2, { t: "hbResp", readPos: 0 }, 2);
    const after = (ticks: number): boolean | undefined => {
      for (let i = 0; i < ticks; i++) lone.step({ k: "tick" });
      return there();
    };
    expect([there(), after(10), after(9), after(1)]).toEqual([true, true, true, false]);
  });
});
