import { describe, expect, it } from "vitest";
import { applyConfigChange, encodeConfigChange } from "@aether/raft/config-change";
import { type Change, type ConfigChange, type Entry, Kind, type Membership } from "@aether/raft/types";
import { wrongChange } from "./changes.ts";

const plain = (voters: number[], learners: number[] = []): Membership => ({
  voters,
  learners,
  outgoing: [],
  learnersNext: [],
  autoLeave: false,
});
const ops = ["addVoter", "addLearner", "remove"] as const;
const each: Change[] = ops.flatMap((op) => [1, 2, 3, 4, 9].map((id) => ({ op, id })));
const entryOf = (change: Partial<ConfigChange>): Entry => {
  const data = encodeConfigChange({ changes: [], transition: "auto", leave: false, context: new Uint8Array(), ...change });
  return { index: 7, term: 2, kind: Kind.config, data };
};

/** What the rules make of it; one that is refused changes nothing. */
function applied(before: Membership, change: Partial<ConfigChange>): Membership {
  const whole = { changes: [], transition: "auto", leave: false, context: new Uint8Array(), ...change } as const;
  const after = applyConfigChange(before, whole);
  return "reason" in after ? before : after;
}

describe("what a change makes of a membership", () => {
  const joint = applied(plain([1, 2, 3]), {
    changes: [
      { op: "addLearner", id: 2 },
      { op: "addVoter", id: 4 },
    ],
  });
  const some = [plain([1]), plain([1, 2, 3], [4]), joint];

  it("is what it says, for every change of one or two members", () => {
    let checked = 0;
    for (const before of some) {
      expect(wrongChange(before, entryOf({ leave: true }), applied(before, { leave: true }))).toBeNull();
      for (const one of each) {
        for (const changes of [[one], ...each.map((other) => [one, other])]) {
          expect(wrongChange(before, entryOf({ changes }), applied(before, { changes }))).toBeNull();
          checked += 1;
        }
      }
    }
    expect(checked).toBe(some.length * each.length * (each.length + 1));
  });

  it("is not that somebody stays who was removed, or comes whom nobody named", () => {
    const [three, removal] = [plain([1, 2, 3]), entryOf({ changes: [{ op: "remove", id: 3 }] })];
    expect(wrongChange(three, removal, plain([1, 2]))).toBeNull();
    expect(wrongChange(three, removal, three)).toMatch(/entry 7 says remove of 3, which was a voter and is a voter/);
    expect(wrongChange(three, removal, plain([1, 2], [3]))).toMatch(/is a learner/);
    expect(wrongChange(three, removal, plain([1]))).toMatch(/says nothing of 2/);
    expect(wrongChange(three, removal, plain([1, 2], [9]))).toMatch(/says nothing of 9/);
  });

  it("is nothing while another is under way, or when nobody would vote", () => {
    const change = entryOf({ changes: [{ op: "remove", id: 1 }] });
    expect(wrongChange(joint, change, joint)).toBeNull();
    expect(wrongChange(plain([1]), change, plain([1]))).toBeNull();
    expect(wrongChange(plain([1]), change, plain([]))).toMatch(/says remove of 1/);
  });
});
