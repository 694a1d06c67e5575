import { describe, expect, it } from "vitest";
import type { Membership, Msg, NodeId } from "@aether/raft/types";
import { Candidacies } from "./candidacies.ts";

const start = { term: 0, index: 0 };
const five: Membership = { voters: [1, 2, 3, 4, 5], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** What is sent, as "from, to, term, message", and the rule that it breaks. */
function judged(...sent: readonly (readonly [NodeId, NodeId, number, Msg])[]): string | null {
  const candidacies = new Candidacies();
  try {
    for (const [from, to, term, m] of sent) candidacies.sends({ from, to, term, m }, () => [five]);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

const vote = (transfer = false): Msg => ({ t: "vote", last: start, transfer, commit: start });
const pre = (granted: boolean): Msg => ({ t: "preVoteResp", granted, commit: start });

describe("who asks for votes", () => {
  it("has a quorum's pre-votes for that very term", () => {
    expect(judged([2, 1, 7, pre(true)], [3, 1, 7, pre(true)], [1, 2, 7, vote()])).toBeNull();
    expect(judged([2, 1, 7, pre(true)], [3, 1, 7, pre(true)], [1, 2, 8, vote()])).toMatch(/pre-voted by 1 only/);
    expect(judged([2, 1, 7, pre(true)], [3, 1, 7, pre(false)], [1, 2, 7, vote()])).toMatch(/pre-voted by 1,2 only/);
    expect(judged([2, 4, 7, pre(true)], [3, 4, 7, pre(true)], [1, 2, 7, vote()])).toMatch(/pre-voted by 1 only/);
  });

  it("of the membership when it asked, though it is another one by the time its own term is durable", () => {
    const asks = { from: 1, to: 2, term: 7, m: { t: "preVote", last: start, transfer: false, commit: start } as Msg };
    for (const members of [
      [1, 2, 3],
      [1, 2, 3, 4, 5],
    ]) {
      const candidacies = new Candidacies();
      candidacies.sends(asks, () => [{ ...five, voters: members }]);
      candidacies.sends({ from: 2, to: 1, term: 7, m: pre(true) }, () => [five]);
      const votes = (): void => candidacies.sends({ from: 1, to: 2, term: 7, m: vote() }, () => [five]);
      if (members.length === 3) expect(votes).not.toThrow();
      else expect(votes).toThrow(/pre-voted by 1,2 only/);
    }
  });

  it("or was told to by the leader of the term before", () => {
    expect(judged([3, 1, 6, { t: "timeoutNow" }], [1, 2, 7, vote(true)])).toBeNull();
    expect(judged([3, 1, 5, { t: "timeoutNow" }], [1, 2, 7, vote(true)])).toMatch(/nobody handed over/);
    expect(judged([3, 2, 6, { t: "timeoutNow" }], [1, 2, 7, vote(true)])).toMatch(/nobody handed over/);
  });
});

describe("who stands in a term", () => {
  it("does so in one process only: after a restart it stands in a later one", () => {
    const [candidacies, first, second] = [new Candidacies(), {}, {}];
    const asks = (to: NodeId, term: number, process: unknown): void => {
      candidacies.sends({ from: 3, to: 1, term: term - 1, m: { t: "timeoutNow" } }, () => [five]);
      candidacies.sends({ from: 1, to, term, m: vote(true) }, () => [five], process);
    };
    asks(2, 7, first);
    asks(3, 7, first);
    asks(2, 8, second);
    expect(() => asks(2, 7, second)).toThrow(/member 1 stands in term 7 again/);
  });
});

describe("who votes", () => {
  const granted = (yes: boolean): Msg => ({ t: "voteResp", granted: yes, commit: start });

  it("does so once in a term", () => {
    expect(
      judged([2, 1, 7, granted(true)], [2, 3, 7, granted(false)], [2, 1, 7, granted(true)], [2, 3, 8, granted(true)]),
    ).toBeNull();
    expect(judged([2, 1, 7, granted(true)], [2, 3, 7, granted(true)])).toMatch(/member 2 votes for 1 and for 3 in term 7/);
  });
});

describe("who leads", () => {
  const joint: Membership = { voters: [1, 2], outgoing: [1, 2, 3, 4], learners: [], learnersNext: [], autoLeave: true };
  const elected = (membership: Membership, ...voters: readonly NodeId[]): string | null => {
    const candidacies = new Candidacies();
    const granted: Msg = { t: "voteResp", granted: true, commit: start };
    try {
      for (const from of voters) candidacies.sends({ from, to: 1, term: 7, m: granted }, () => [membership]);
      candidacies.leads(1, 7, membership);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };

  it("has the votes of a quorum, of both halves of a joint membership", () => {
    expect(elected(five, 2, 3)).toBeNull();
    expect(elected(five, 2)).toMatch(/leads term 7 by the votes of 1,2;/);
    expect(elected(joint, 2, 3)).toBeNull();
    expect(elected(joint, 2)).toMatch(/by the votes of 1,2;/);
    expect(elected(joint, 3, 4)).toMatch(/by the votes of 1,3,4;/);
  });
});
