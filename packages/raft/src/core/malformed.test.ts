import { describe, expect, it } from "vitest";
import { Lone, membershipOf } from "../cases/lone.ts";
import { type Envelope, Kind, type Msg } from "../types.ts";

const at = (index: number, term: number) => ({ index, term });
const entry = (index: number, term: number) => ({ index, term, kind: Kind.normal, data: new Uint8Array(1) });
const meta = (voters: number[], id = at(9, 2)) => ({ id, membership: membershipOf(voters), digest: "d", bytes: 1 });

const nonsense: Record<string, { m: Msg; term?: number; from?: number; to?: number }> = {
  "for somebody else": { m: { t: "timeoutNow" }, to: 3 },
  "from nobody": { m: { t: "timeoutNow" }, from: 0 },
  "from an id beyond 32 bits": { m: { t: "timeoutNow" }, from: 2 ** 32 },
  "without a term": { m: { t: "timeoutNow" }, term: 0 },
  "with half a term": { m: { t: "timeoutNow" }, term: 1.5 },
  "with a term that is no safe integer": { m: { t: "hb", commit: 0, readPos: 0 }, term: 2 ** 53 },
  "a heartbeat from itself": { m: { t: "hb", commit: 0, readPos: 0 }, from: 1 },
  "entries with a hole": { m: { t: "app", prev: at(2, 1), entries: [entry(3, 1), entry(5, 1)], commit: 0 } },
  "entries not after their anchor": { m: { t: "app", prev: at(2, 1), entries: [entry(4, 1)], commit: 0 } },
  "terms that fall": { m: { t: "app", prev: at(2, 1), entries: [entry(3, 2), entry(4, 1)], commit: 0 } },
  "entries of a later term": { m: { t: "app", prev: at(2, 1), entries: [entry(3, 9)], commit: 0 } },
  "an anchor of a later term": { m: { t: "app", prev: at(2, 9), entries: [], commit: 0 } },
  "a negative commit": { m: { t: "hb", commit: -1, readPos: 0 } },
  "a commit that is no safe integer": { m: { t: "hb", commit: 2 ** 53, readPos: 0 } },
  "a read position that is no safe integer": { m: { t: "hbResp", readPos: 2 ** 53 } },
  "a hint that is no safe integer": { m: { t: "appResp", index: 1, reject: { hint: at(2 ** 53, 1) } } },
  "no number at all": { m: { t: "hb", commit: Number.NaN, readPos: 0 } },
  "a candidate's log of a later term": { m: { t: "vote", last: at(5, 9), transfer: false, commit: { term: 0, index: 0 } } },
  "a hint nowhere": { m: { t: "appResp", index: 1, reject: { hint: at(-1, 0) } } },
  "a commit of a later term": { m: { t: "voteResp", granted: true, commit: at(1, 9) } },
  "a snapshot without voters": { m: { t: "snapOffer", meta: meta([]) } },
  "a snapshot of a later term": { m: { t: "snapOffer", meta: meta([1, 2], at(9, 9)) } },
  "a snapshot with a voter twice": { m: { t: "snapOffer", meta: meta([1, 1, 2]) } },
  "an unknown kind": { m: { t: "surprise" } as unknown as Msg },
};

describe("a message that makes no sense", () => {
  for (const [what, { m, term = 2, from = 2, to = 1 }] of Object.entries(nonsense)) {
    it(`is counted and changes nothing: ${what}`, () => {
      const lone = new Lone({ terms: [1, 1], term: 1 });
      const before = JSON.stringify([lone.r.term, lone.r.vote, lone.r.leader, lone.r.log.lastIndex(), lone.r.log.committed]);
      const e: Envelope = { from, to, term, m };
      lone.step({ k: "recv", e });
      expect(lone.r.rejectedMessages).toBe(1);
      expect(JSON.stringify([lone.r.term, lone.r.vote, lone.r.leader, lone.r.log.lastIndex(), lone.r.log.committed])).toBe(
        before,
      );
      expect(lone.settle()).toEqual([]);
    });
  }

  it("may be one that acknowledges what was never sent", () => {
    const lone = new Lone({ voters: [1, 2] });
    lone.step({ k: "campaign" });
    lone.settle();
    lone.receive(2, { t: "voteResp", granted: true, commit: at(0, 0) });
    lone.receive(2, { t: "appResp", index: 99, reject: null });
    lone.receive(2, { t: "hbResp", readPos: 99 });
    expect(lone.r).toMatchObject({ state: "leader", rejectedMessages: 2 });
    expect(lone.r.log.committed).toBe(0);
  });
});
