import { describe, expect, it } from "vitest";
import { makeStream } from "../world/stream.ts";
import { checkLinearizable, type Operation } from "./linearizability.ts";
import { bruteForce, drawCall, rightHistory, wrongHistory, wrongKinds } from "./testing/histories.ts";

describe("the linearizability checker", () => {
  it("accepts 1,200 histories of stores that behave, with operations nobody heard of again", { timeout: 120_000 }, () => {
    let open = 0;
    for (let seed = 1; seed <= 1_200; seed++) {
      const chance = makeStream(seed, "right");
      const history = [...rightHistory(chance, 5 + chance.below(40), "a"), ...rightHistory(chance, 5 + chance.below(20), "b")];
      open += history.filter(({ answeredAt }) => answeredAt === Infinity).length;
      expect({ seed, ...checkLinearizable(history) }).toEqual({ seed, v: "linearizable" });
    }
    expect(open).toBeGreaterThan(1_000);
  });

  for (const kind of wrongKinds) {
    it(`finds ${kind}, wherever in a history it stands`, () => {
      for (let before = 1; before <= 8; before++) {
        const wrong = wrongHistory(kind, before);
        expect({ before, v: checkLinearizable(wrong).v }).toEqual({ before, v: "violated" });
        // It is the ending that is wrong, not what comes before it.
        expect(checkLinearizable(wrong.slice(0, 2 * before)).v).toBe("linearizable");
        const besides = rightHistory(makeStream(before, kind), 30, "other");
        expect(checkLinearizable([...besides, ...wrong])).toMatchObject({ v: "violated", key: "k" });
      }
    });
  }

  it("agrees with trying every order, on 3,000 small histories of which many are wrong", () => {
    const verdicts = { linearizable: 0, violated: 0 };
    for (let seed = 1; seed <= 3_000; seed++) {
      const chance = makeStream(seed, "small");
      const history = rightHistory(chance, 2 + chance.below(5)).map((operation) => spoiled(operation, seed));
      const { v } = checkLinearizable(history);
      expect({ seed, v }).toEqual({ seed, v: bruteForce(history) ? "linearizable" : "violated" });
      if (v !== "unknown") verdicts[v] += 1;
    }
    expect(Math.min(verdicts.linearizable, verdicts.violated)).toBeGreaterThan(300);
  });

  it("says so when it gives up, and never passes what it did not search", () => {
    const chance = makeStream(7, "hard");
    const history = rightHistory(chance, 60).map((operation) => ({ ...operation, calledAt: 0 }));
    expect(checkLinearizable(history, 20)).toMatchObject({ v: "unknown", key: "k" });
  });
});

/** Now and then another answer than the true one. */
function spoiled(operation: Operation, seed: number): Operation {
  const chance = makeStream(seed, `spoil ${operation.calledAt}`);
  if (operation.result.told === "unknown" || !chance.chance(0.15)) return operation;
  const call = drawCall(chance, chance.below(6), chance.below(3));
  const version = 1 + chance.below(3);
  if (call.op === "read") return { ...operation, call, result: { told: "saw", state: { version, value: chance.below(6) } } };
  return { ...operation, call, result: { told: "done", version: call.op === "remove" ? 0 : version } };
}
