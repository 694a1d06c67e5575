import { describe, expect, it } from "vitest";
import type { Membership, NodeId } from "@aether/raft/types";
import { isQuorum, quorumsMeet } from "./history.ts";

const of = (voters: readonly NodeId[], outgoing: readonly NodeId[] = []): Membership => ({
  voters,
  outgoing,
  learners: [],
  learnersNext: [],
  autoLeave: false,
});

/** Every set of the members 1 to 5. */
const sets = Array.from({ length: 32 }, (_, bits) => [1, 2, 3, 4, 5].filter((id) => (bits >> (id - 1)) % 2 === 1));

/** The same question, by trying every pair of quorums. */
function meetByTrying(one: Membership, other: Membership): boolean {
  const quorums = (m: Membership): NodeId[][] => sets.filter((set) => isQuorum(m, (id) => set.includes(id)));
  return quorums(one).every((a) => quorums(other).every((b) => a.some((id) => b.includes(id))));
}

describe("the quorums of two memberships", () => {
  it("meet when one voter comes or goes, or a joint step stands between", () => {
    expect(quorumsMeet(of([1, 2, 3]), of([1, 2, 3, 4]))).toBe(true);
    expect(quorumsMeet(of([1, 2, 3]), of([1], [1, 2, 3]))).toBe(true);
    expect(quorumsMeet(of([1], [1, 2, 3]), of([1]))).toBe(true);
    expect(quorumsMeet(of([1, 2, 3]), of([1]))).toBe(false);
  });

  it("meet exactly when no two are apart, for all plain memberships of five", () => {
    const memberships = sets.filter((set) => set.length > 0).map((set) => of(set));
    const wrong = memberships.flatMap((one) =>
      memberships.filter((other) => quorumsMeet(one, other) !== meetByTrying(one, other)),
    );
    expect(wrong).toEqual([]);
  });
});
