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
    lone.receive(2, { t: "vote", last: nothing, transfer: false, commit: { term: 0, index: 0 } }, 2);
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

  it("may wait for a member that does not know yet that it is a voter: it learns that from whoever asks for its vote", () => {
    const change = { index: 2, change: { changes: [{ op: "addVoter" as const, id: 1 }], transition: "auto" as const } };
    for (const kind of ["vote", "preVote"] as const) {
      const asks = { t: kind, last: { term: 1, index: 3 }, transfer: false } as const;
      const lone = new Lone({
        voters: [2, 3, 4],
        learners: [1],
        terms: [1, 1, 2],
        term: 2,
        commit: 1,
        options: { preVote: true },
      });
      for (const commit of [nothing, { term: 2, index: 2 }, { term: 1, index: 4 }]) lone.receive(2, { ...asks, commit }, 3);
      expect(lone.r.log.committed).toBe(1);
      lone.receive(2, { ...asks, commit: { term: 1, index: 2 } }, 3);
      expect(lone.r.log.committed).toBe(2);
      lone.settle();
      expect(lone.toApply.map(({ index }) => index)).toEqual([1, 2]);
      lone.step({ k: "configApplied", ...change, change: { ...change.change, leave: false, context: new Uint8Array(0) } });
      lone.step({ k: "applied", index: 2, bytes: 0 });
      lone.step({ k: "campaign" });
      expect(lone.r.state).toBe("preCandidate");
    }
  });

  it("tells what its candidate knows to be committed", () => {
    const lone = new Lone({ terms: [1, 1, 1], term: 1, commit: 2, options: { preVote: true } });
    lone.step({ k: "campaign" });
    const commit = { term: 1, index: 2 };
    const asked = (t: string): unknown[] => lone.sent.filter((e) => e.to !== 1 && e.m.t === t).map(({ m }) => m);
    lone.settle();
    expect(asked("preVote")).toEqual([2, 3].map(() => ({ t: "preVote", last: { term: 1, index: 3 }, transfer: false, commit })));
    lone.receive(2, { t: "preVoteResp", granted: true, commit: nothing }, 2);
    lone.settle();
    expect(asked("vote")).toEqual([2, 3].map(() => ({ t: "vote", last: { term: 1, index: 3 }, transfer: false, commit })));
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
