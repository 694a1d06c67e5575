import { describe, expect, it } from "vitest";
import { Lone, unlimited } from "../cases/lone.ts";
import type { Envelope, Limits } from "../types.ts";
import { collect, hasNews } from "./ready.ts";

const nothing = { index: 0, term: 0 };
const payload = new Uint8Array(10);

/** Member 1 leads term 1 with entries of 10 bytes; member 2 has what is committed, member 3 was not heard of. */
function leading(entries: number, limits: Limits = unlimited): Lone {
  const lone = new Lone({ options: { limits } });
  lone.step({ k: "campaign" });
  lone.settle();
  lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
  lone.step({ k: "propose", data: Array.from({ length: entries }, () => payload) });
  lone.settle();
  lone.receive(2, { t: "appResp", index: entries + 1, reject: null });
  lone.settle();
  return lone;
}

/** How many entries each append to member 3 has, in the order they are sent. */
function appendsTo3(sent: readonly Envelope[]): number[] {
  return sent.flatMap(({ to, m }) => (to === 3 && m.t === "app" ? [m.entries.length] : []));
}

function beat(lone: Lone): number[] {
  lone.receive(3, { t: "hbResp", readPos: 0 });
  return appendsTo3(lone.settle());
}

describe("a follower that answers heartbeats and no appends", () => {
  it("is sent what it lacks once more, and from then on one entry at a time, however much is proposed", () => {
    const lone = leading(5);
    expect(beat(lone)).toEqual([6]);
    expect(beat(lone)).toEqual([1]);
    lone.step({ k: "propose", data: [payload] });
    expect(appendsTo3(lone.settle())).toEqual([]);
    expect(beat(lone)).toEqual([1]);
  });

  it("is sent everything as soon as it answers", () => {
    const lone = leading(5);
    for (let beats = 0; beats < 3; beats++) beat(lone);
    lone.receive(3, { t: "appResp", index: 1, reject: null });
    expect(appendsTo3(lone.settle())).toEqual([5]);
  });

  it("is sent entries from where the logs part, as soon as it says where", () => {
    const lone = new Lone({ terms: [1, 1, 1, 1], term: 1 });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "voteResp", granted: true, commit: nothing });
    lone.settle();
    expect([...beat(lone), ...beat(lone), ...beat(lone)]).toEqual([1, 1, 1]);
    lone.receive(3, { t: "appResp", index: 4, reject: { hint: { index: 1, term: 1 } } });
    expect(appendsTo3(lone.settle())).toEqual([4]);
  });
});

describe("a follower that lacks much", () => {
  const limits = { ...unlimited, maxMsgBytes: 20, maxRoundBytes: 40, maxInflightMsgs: 8 };

  it("is sent a round's bytes at a time, and the rest of its window in further rounds", () => {
    const lone = leading(30, limits);
    lone.receive(3, { t: "appResp", index: 1, reject: null });
    const rounds: number[] = [];
    while (hasNews(lone.r)) rounds.push(...appendsTo3(collect(lone.r).send).map((_, at) => at));
    expect(rounds).toEqual([0, 1, 0, 1, 0, 1, 0, 1]);
  });

  it("costs nothing more once the leader leads no more", () => {
    const lone = leading(30, limits);
    lone.receive(3, { t: "appResp", index: 1, reject: null });
    expect(appendsTo3(collect(lone.r).send)).toEqual([2, 2]);
    lone.receive(2, { t: "hb", commit: 0, readPos: 0 }, 2);
    expect(appendsTo3(lone.settle())).toEqual([]);
    expect(hasNews(lone.r)).toBe(false);
  });
});
