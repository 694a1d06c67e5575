import { describe, expect, it } from "vitest";
import { Failure } from "../shell/failure.ts";
import { refuseLiving, type OldMembers, type Seen } from "./old-members.ts";

const members = ["n1", "n2", "n3"].map((name, at) => ({ name, member: at + 1, address: `127.0.0.1:${7401 + at}` }));
const old = (more: Partial<OldMembers> = {}): OldMembers => ({
  clusterId: "ab".repeat(16),
  quorums: [[1, 2, 3]],
  asOf: 40,
  members,
  ...more,
});
const seen = (member: number, more: Partial<Seen> = {}): Seen => ({
  node: `n${member}`,
  member,
  applied: 40,
  last: 40,
  voters: [1, 2, 3],
  leader: null,
  ...more,
});
const refusal = (o: OldMembers, all: readonly Seen[]): string | null => {
  try {
    refuseLiving(o, all, "home");
    return null;
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
};

describe("a cluster whose disk is to be recovered", () => {
  it("is taken for lost when nobody answers, or too few that follow nobody", () => {
    expect(refusal(old(), [])).toBeNull();
    expect(refusal(old(), [seen(1)])).toBeNull();
    expect(refusal(old({ quorums: [[1, 2, 3, 4, 5]] }), [seen(1), seen(3)])).toBeNull();
  });

  it("is not lost while a quorum of its voters answers, and they are named", () => {
    expect(refusal(old(), [seen(1), seen(3)])).toContain("of its 3 voters n1, n3 answer, and 2 are a quorum");
  });

  it("is not lost while a majority of either half of a change answers", () => {
    expect(
      refusal(
        old({
          quorums: [
            [7, 8, 9],
            [1, 2, 3],
          ],
        }),
        [seen(1), seen(3)],
      ),
    ).not.toBeNull();
    expect(
      refusal(
        old({
          quorums: [
            [1, 3, 9],
            [2, 4, 5],
          ],
        }),
        [seen(1), seen(3)],
      ),
    ).not.toBeNull();
  });

  it("is not lost while one that answers knows a leader, even one alone", () => {
    const leader = { node: "n1", member: 1, address: "127.0.0.1:7401" };
    expect(refusal(old(), [seen(3, { leader })])).toContain("n3 answers, and n1 leads as far as it knows");
  });

  it("is judged by the voters of whoever is ahead of the disk: others may have been replaced since", () => {
    const ahead = { applied: 60, voters: [7, 8, 9] };
    expect(refusal(old(), [seen(7, ahead), seen(8, ahead)])).not.toBeNull();
    expect(refusal(old(), [seen(1), seen(3), seen(7, ahead)])).toBeNull();
    expect(refusal(old(), [seen(1), seen(3), seen(7, { ...ahead, applied: 30 })])).not.toBeNull();
  });
});
