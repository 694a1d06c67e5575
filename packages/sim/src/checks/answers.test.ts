import { describe, expect, it } from "vitest";
import type { Membership, Msg, NodeId } from "@aether/raft/types";
import { Answers } from "./answers.ts";

const three: Membership = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
const asks = (readPos: number): Msg => ({ t: "hb", commit: 0, readPos });
const confirms = (readPos: number): Msg => ({ t: "hbResp", readPos });
const read: Msg = { t: "readIndex", key: 7 };
const answer: Msg = { t: "readIndexResp", key: 7, index: 1 };

/** What is sent one after the other in term 5, as "from, to, message", and the rule that it breaks. */
function judged(...sent: readonly (readonly [NodeId, NodeId, Msg])[]): string | null {
  const answers = new Answers();
  try {
    for (const [now, [from, to, m]] of sent.entries()) answers.sends({ from, to, term: 5, m }, now, () => [three]);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

describe("a leader answers a read", () => {
  it("when a quorum has confirmed a heartbeat that was sent after the read", () => {
    expect(judged([1, 2, asks(0)], [3, 1, read], [1, 2, asks(1)], [2, 1, confirms(1)], [1, 3, answer])).toBeNull();
    expect(judged([1, 2, asks(0)], [3, 1, read], [2, 1, confirms(0)], [1, 3, answer])).toMatch(/words that came after it/);
    expect(judged([1, 2, asks(0)], [3, 1, read], [1, 2, asks(1)], [1, 3, answer])).toMatch(/words that came after it/);
  });

  it("that has a key of its own", () => {
    expect(judged([3, 1, read], [2, 1, read])).toBeNull();
    expect(judged([3, 1, read], [3, 2, read])).toMatch(/a read's key is used once/);
  });
});

describe("a leader refuses with words that tell of a state", () => {
  it("when a quorum has confirmed a heartbeat that was sent after the command came", () => {
    const answers = new Answers();
    const refuses = (since: number): void => answers.refuses(1, 5, since, () => [three]);
    for (const [now, [from, to, m]] of (
      [
        [1, 2, asks(1)],
        [2, 1, confirms(1)],
      ] as const
    ).entries())
      answers.sends({ from, to, term: 5, m }, 10 + now, () => [three]);
    expect(() => refuses(9)).not.toThrow();
    expect(() => refuses(11)).toThrow(/words that came after it/);
  });
});

describe("an ack", () => {
  it("is one of the term that it names", () => {
    const answers = new Answers();
    for (const [term, index] of [[5, 9] as const, [6, 3] as const, [6, 2] as const]) {
      answers.sends({ from: 2, to: 1, term, m: { t: "appResp", index, reject: null } }, 0, () => [three]);
    }
    expect([5, 6, 7].map((term) => answers.ackedTo(1, term, 2))).toEqual([9, 3, 0]);
  });
});
