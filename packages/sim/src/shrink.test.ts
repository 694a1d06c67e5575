import { describe, expect, it } from "vitest";
import { live, type LifeReport } from "./life.ts";
import { drawPlan, faultKinds, type LifeOptions } from "./plan.ts";
import { commandFor, shrink } from "./shrink.ts";

/** A life that breaks `rule` as long as there are crashes and at least a second to live. */
const fragile = (options: LifeOptions): LifeReport => {
  const plan = drawPlan(options);
  const broken = plan.forMs >= 1_000 && options.without?.includes("crash") !== true;
  const violation = broken ? { rule: "some rule", message: "some rule: broken" } : null;
  return { seed: options.seed, plan, violation, virtualMs: 0, steps: 0, trace: 0, counts: {}, timeline: [] };
};

describe("making a broken life smaller", () => {
  it("takes out every fault that does not matter, and halves its time", async () => {
    const options = { seed: 3, forMs: 9_000 };
    const { options: least, report, lives } = await shrink(options, fragile(options), (o) => Promise.resolve(fragile(o)));
    expect(report.violation?.rule).toBe("some rule");
    expect(least.without).not.toContain("crash");
    expect(least.without).toHaveLength(faultKinds.length - 1);
    expect(least.forMs).toBe(1_125);
    expect(lives).toBeLessThanOrEqual(40);
    const kinds = faultKinds.filter((kind) => kind !== "crash").join();
    expect(commandFor(least)).toBe(`npm run sim -- --seed 3 --for 1125 --without ${kinds} --timeline`);
  });

  it("ends with a life that is broken in the same way when lived again", async () => {
    let options: LifeOptions = { seed: 1, forMs: 4_000, defect: "diceInRules" };
    let broken = await live(options);
    while (broken.violation === null && options.seed < 16) {
      options = { ...options, seed: options.seed + 1 };
      broken = await live(options);
    }
    const { options: least, report } = await shrink(options, broken, live);
    expect(await live(least)).toEqual(report);
    expect(report.violation?.rule).toBe("equal state digests");
    expect(least.forMs).toBeLessThan(4_000);
  });
});
