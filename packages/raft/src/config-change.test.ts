import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyConfigChange, decodeConfigChange, encodeConfigChange } from "./config-change.ts";
import { emptyMembership, membershipDefect } from "./core/confchange.ts";
import type { Change, ConfigChange, Membership } from "./types.ts";

const none = new Uint8Array(0);
const of = (changes: Change[], transition: ConfigChange["transition"] = "auto"): ConfigChange => ({
  changes,
  transition,
  leave: false,
  context: none,
});
const leave: ConfigChange = { changes: [], transition: "auto", leave: true, context: none };
const three: Membership = { ...emptyMembership, voters: [1, 2, 3] };

const anyChange: fc.Arbitrary<ConfigChange> = fc.record({
  changes: fc.array(
    fc.record({ op: fc.constantFrom("addVoter", "addLearner", "remove"), id: fc.integer({ min: 1, max: 2 ** 32 - 1 }) }),
  ),
  transition: fc.constantFrom("auto", "joint", "explicit"),
  leave: fc.boolean(),
  context: fc.uint8Array({ maxLength: 100 }),
});

describe("the bytes of a membership change", () => {
  it("come back as what went in", () => {
    fc.assert(
      fc.property(anyChange, (change) => {
        expect(decodeConfigChange(encodeConfigChange(change))).toEqual(change);
      }),
    );
  });

  it("keep their format, for old logs are read for ever", () => {
    const change: ConfigChange = { ...of([{ op: "addLearner", id: 0x01020304 }], "joint"), context: Uint8Array.of(9) };
    expect([...encodeConfigChange(change)]).toEqual([1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 2, 3, 4, 9]);
  });

  it("are refused when they are cut, lengthened or of another format", () => {
    const bytes = encodeConfigChange({ ...of([{ op: "remove", id: 3 }]), context: Uint8Array.of(1, 2) });
    for (let n = 0; n < bytes.length; n++) expect(() => decodeConfigChange(bytes.subarray(0, n))).toThrow(RangeError);
    expect(() => decodeConfigChange(Uint8Array.of(...bytes, 0))).toThrow(RangeError);
    for (const [at, value] of [
      [0, 2],
      [1, 3],
      [2, 2],
      [9, 3],
    ] as const) {
      expect(() => decodeConfigChange(bytes.with(at, value)), `byte ${at}`).toThrow(RangeError);
    }
  });
});

describe("a membership change", () => {
  it("that leaves a joint membership brings no change of its own", () => {
    const joint = applyConfigChange(three, of([{ op: "remove", id: 1 }], "joint")) as Membership;
    expect(joint.outgoing).toEqual([1, 2, 3]);
    expect(applyConfigChange(joint, { ...leave, changes: [{ op: "remove", id: 2 }] })).toHaveProperty("reason");
    expect(applyConfigChange(joint, leave)).toMatchObject({ voters: [2, 3], outgoing: [] });
  });

  it("puts any number of first voters into nothing at once", () => {
    const first = of([1, 2, 3].map((id) => ({ op: "addVoter", id })));
    expect(applyConfigChange(emptyMembership, first)).toEqual(three);
  });

  it("is joint only when it must be, or is asked to be", () => {
    const add = (...ids: number[]) => ids.map((id): Change => ({ op: "addVoter", id }));
    expect(applyConfigChange(three, of(add(4)))).toEqual({ ...three, voters: [1, 2, 3, 4] });
    expect(applyConfigChange(three, of([...add(4), { op: "addLearner", id: 5 }]))).toMatchObject({ outgoing: [], learners: [5] });
    expect(applyConfigChange(three, of(add(4, 5)))).toMatchObject({
      voters: [1, 2, 3, 4, 5],
      outgoing: [1, 2, 3],
      autoLeave: true,
    });
    expect(applyConfigChange(three, of(add(4), "joint"))).toMatchObject({ outgoing: [1, 2, 3], autoLeave: true });
    expect(applyConfigChange(three, of(add(4), "explicit"))).toMatchObject({ outgoing: [1, 2, 3], autoLeave: false });
  });

  it("demotes an outgoing voter only when the joint membership is left", () => {
    const joint = applyConfigChange(three, of([{ op: "addLearner", id: 3 }], "joint")) as Membership;
    expect(joint).toMatchObject({ voters: [1, 2], learners: [], learnersNext: [3] });
    expect(applyConfigChange(joint, leave)).toEqual({ ...emptyMembership, voters: [1, 2], learners: [3] });
  });

  it("is refused with a reason when it does not apply", () => {
    const joint = applyConfigChange(three, of([{ op: "remove", id: 3 }], "joint")) as Membership;
    const everyone = of([1, 2, 3].map((id) => ({ op: "remove", id })));
    const refused: [Membership, ConfigChange][] = [
      [three, leave],
      [three, of([])],
      [three, everyone],
      [three, { ...leave, changes: [{ op: "remove", id: 1 }] }],
      [joint, of([{ op: "addVoter", id: 9 }])],
      [joint, of([{ op: "addVoter", id: 9 }], "joint")],
      [emptyMembership, of([{ op: "addLearner", id: 1 }])],
      [emptyMembership, leave],
    ];
    for (const [m, change] of refused) expect(applyConfigChange(m, change), JSON.stringify(change)).toHaveProperty("reason");
  });

  it("never leads to a membership that is unsound, however changes follow each other", () => {
    const small = fc.record({ op: fc.constantFrom("addVoter", "addLearner", "remove"), id: fc.integer({ min: 1, max: 6 }) });
    const step = fc.record({
      changes: fc.array(small as fc.Arbitrary<Change>, { maxLength: 4 }),
      transition: fc.constantFrom("auto", "joint", "explicit"),
      leave: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let m = three;
        for (const s of steps) {
          const next = applyConfigChange(m, { ...s, changes: s.leave ? [] : s.changes, context: none });
          if ("reason" in next) continue;
          expect(membershipDefect(next)).toBeNull();
          expect(next.voters.length).toBeGreaterThan(0);
          m = next;
        }
      }),
    );
  });
});
