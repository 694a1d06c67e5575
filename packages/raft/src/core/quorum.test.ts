import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jointIndex, jointVote, majorityIndex, majorityVote, type VoteResult } from "./quorum.ts";

/** The definition, word by word: the largest value that more than half have reached. */
function slowIndex(acked: readonly number[]): number {
  if (acked.length === 0) return Infinity;
  const reached = [0, ...acked].filter((value) => acked.filter((a) => a >= value).length * 2 > acked.length);
  return Math.max(...reached);
}

/** Tries every way the open ballots could still fall. */
function slowVote(ballots: readonly (boolean | undefined)[]): VoteResult {
  const open = ballots.indexOf(undefined);
  if (open < 0) return ballots.length === 0 || ballots.filter(Boolean).length * 2 > ballots.length ? "won" : "lost";
  const [yes, no] = [true, false].map((vote) => slowVote(ballots.map((b, i) => (i === open ? vote : b))));
  return yes === no ? yes! : "pending";
}

const indexes = fc.array(fc.oneof(fc.integer({ min: 0, max: 9 }), fc.maxSafeNat()), { maxLength: 9 });
const ballots = fc.array(fc.constantFrom(true, false, undefined), { maxLength: 7 });

describe("a quorum", () => {
  it("has reached what the definition says, in both majorities", () => {
    fc.assert(
      fc.property(indexes, indexes, (incoming, outgoing) => {
        expect(majorityIndex([...incoming])).toBe(slowIndex(incoming));
        expect(jointIndex([...incoming], [...outgoing])).toBe(Math.min(slowIndex(incoming), slowIndex(outgoing)));
      }),
      { numRuns: 2000 },
    );
  });

  it("has won or lost exactly when no open ballot can change it", () => {
    fc.assert(
      fc.property(ballots, ballots, (incoming, outgoing) => {
        const [one, other] = [slowVote(incoming), slowVote(outgoing)];
        expect(majorityVote(incoming)).toBe(one);
        const both = one === "won" && other === "won" ? "won" : one === "lost" || other === "lost" ? "lost" : "pending";
        expect(jointVote(one, other)).toBe(both);
      }),
      { numRuns: 1000 },
    );
  });
});
