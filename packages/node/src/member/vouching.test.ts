import { describe, expect, it } from "vitest";
import type { PeerNotes } from "./peer-notes.ts";
import { awaitVouchers, judgeVouchers } from "./vouching.ts";

const notesOf = (member: number, floors: PeerNotes["floors"] = {}): PeerNotes => ({
  clusterId: "00112233445566778899aabbccddeeff",
  node: `n${member}`,
  build: "1.0.0",
  member,
  initialised: true,
  term: 5,
  applied: 100,
  last: 100,
  leader: null,
  voters: [1, 2, 3],
  learners: [],
  floors,
  checkpoints: [],
  nodes: [],
});
const question = { member: 2, voters: [1, 2, 3], applied: 80, last: { term: 4, index: 80 }, term: 5 };

describe("vouching for a restarted member", () => {
  it("takes one voice fewer than a quorum, of distinct voters", () => {
    expect(judgeVouchers(question, [])).toEqual({ v: "wait", have: 0, need: 1 });
    expect(judgeVouchers(question, [notesOf(1)])).toEqual({ v: "enough" });
    expect(judgeVouchers({ ...question, applied: 100, voters: [1, 2, 3, 4, 5] }, [notesOf(1), notesOf(1)])).toEqual({
      v: "wait",
      have: 1,
      need: 2,
    });
    expect(judgeVouchers(question, [notesOf(9)])).toEqual({ v: "wait", have: 0, need: 1 });
  });

  it("believes whoever has applied more about who votes by now", () => {
    const replaced = { ...notesOf(7), voters: [2, 7, 8], applied: 500 };
    expect(judgeVouchers(question, [replaced])).toEqual({ v: "enough" });
    expect(judgeVouchers(question, [{ ...replaced, applied: 80 }])).toEqual({ v: "wait", have: 0, need: 1 });
  });

  it("lets a single member start alone", () => {
    expect(judgeVouchers({ ...question, voters: [2] }, [])).toEqual({ v: "enough" });
  });

  it("finds an older copy of the disk as soon as anybody knows better", () => {
    const verdict = judgeVouchers(question, [notesOf(1), notesOf(3, { "2": { term: 5, index: 81 } })]);
    expect(verdict).toEqual({
      v: "regressed",
      detail: "n3 knows better: its log ends at 80, but it acknowledged entries up to 81",
    });
    expect(judgeVouchers({ ...question, term: 4 }, [notesOf(1, { "2": { term: 5, index: 10 } })]).v).toBe("regressed");
  });

  it("does not mistake a member that is behind for one that lost something", () => {
    expect(judgeVouchers(question, [notesOf(1, { "2": { term: 5, index: 80 }, "3": { term: 9, index: 999 } })])).toEqual({
      v: "enough",
    });
  });

  it("wants a learner to hear at least one voter", () => {
    const learner = { member: 7, voters: [1, 2, 3], applied: 0, last: { term: 0, index: 0 }, term: 0 };
    expect(judgeVouchers(learner, []).v).toBe("wait");
    expect(judgeVouchers(learner, [notesOf(1)]).v).toBe("enough");
  });
});

describe("waiting for vouchers", () => {
  const nodes = [1, 2, 3, 4].map((member) => ({
    name: `n${member}`,
    member,
    address: member === 3 ? null : `10.0.0.${member}:7400`,
    duty: "control",
    joined: true,
    left: member === 1,
  }));
  const newer = { voters: [1, 2, 3, 4], nodes };

  it("asks where others say that somebody is whom this disk does not know, until they are heard together", async () => {
    const asked: (readonly string[])[] = [];
    const rounds = [
      [{ ...notesOf(3), ...newer }],
      [],
      [
        { ...notesOf(3), ...newer },
        { ...notesOf(4), ...newer },
      ],
    ];
    const refused = await awaitVouchers({
      question,
      ask: (named) => {
        asked.push(named);
        return Promise.resolve(rounds.shift() ?? []);
      },
      pause: () => Promise.resolve(),
      ended: () => rounds.length === 0,
      onWaiting: () => undefined,
    });
    expect({ refused, asked }).toEqual({
      refused: null,
      asked: [[], ["10.0.0.2:7400", "10.0.0.4:7400"], ["10.0.0.2:7400", "10.0.0.4:7400"]],
    });
  });

  it("goes by nobody who has applied less than this disk", async () => {
    const asked: (readonly string[])[] = [];
    await awaitVouchers({
      question: { ...question, applied: 100, voters: [1, 2, 3, 4] },
      ask: (named) => {
        asked.push(named);
        return Promise.resolve([{ ...notesOf(3), ...newer }]);
      },
      pause: () => Promise.resolve(),
      ended: () => asked.length === 2,
      onWaiting: () => undefined,
    });
    expect(asked).toEqual([[], []]);
  });
});
