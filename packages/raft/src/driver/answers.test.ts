import { describe, expect, it } from "vitest";
import { Broken } from "../errors.ts";
import type { AppendBatch, Envelope, Msg } from "../types.ts";
import { answersOf } from "./answers.ts";

const batch = (last: number, ...thenSend: Envelope[]): AppendBatch => ({
  token: 1,
  term: 2,
  hard: null,
  slice: null,
  snap: null,
  sync: false,
  last: { term: 2, index: last },
  thenSend,
});
const say = (to: number, m: Msg, term = 2): Envelope => ({ from: 1, to, term, m });
const ack = (index: number, to = 3, term = 2): Envelope => say(to, { t: "appResp", index, reject: null }, term);
const refusal = (index: number): Envelope => say(3, { t: "appResp", index, reject: { hint: { term: 1, index: 1 } } });

describe("answers to one leader", () => {
  it("of a group that was written together are one ack, the highest", () => {
    expect(answersOf([batch(5, ack(5)), batch(9, ack(9)), batch(9, ack(7))])).toEqual([ack(9)]);
  });

  it("stay apart by recipient, term and kind, in their order", () => {
    const vote = say(4, { t: "voteResp", granted: true, commit: { term: 1, index: 1 } });
    const all = [ack(5), ack(5, 4), ack(6, 4, 3), refusal(6), ack(6), vote, ack(7)];
    expect(answersOf(all.map((envelope) => batch(9, envelope)))).toEqual(all);
  });

  it("never name an entry that their batch did not make durable", () => {
    expect(() => answersOf([batch(5, ack(6))])).toThrow(Broken);
    expect(answersOf([batch(5, refusal(6))])).toEqual([refusal(6)]);
  });
});
