import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { live } from "./life.ts";
import { drawPlan } from "./plan.ts";
import { readRegression, readRegressions, regressionsFolder, writeRegression } from "./regressions.ts";

const pinnedLifeMs = 300_000;

describe("lives that were broken once", () => {
  const regressions = [...readRegressions()];

  it("are there", () => expect(regressions.length).toBeGreaterThan(0));

  it.each(regressions)(
    "are sound: %s",
    async (name, { found, commit, rule, plan }) => {
      expect({ found, commit, rule }).toEqual({
        found: expect.stringMatching(/\w+ \w+/),
        commit: expect.stringMatching(/^[0-9a-f]{40}/),
        rule: expect.any(String),
      });
      const { violation } = await live({ seed: plan.seed, plan });
      const again = `npm run sim -- --plan ${join(regressionsFolder, `${name}.json`)} --timeline`;
      expect({ violation, again }).toEqual({ violation: null, again });
    },
    pinnedLifeMs,
  );
});

describe("a pinned plan", () => {
  it("is the life that its seed drew", async () => {
    const options = { seed: 33, forMs: 1_000 };
    const drawn = await live(options);
    expect(await live({ seed: 33, plan: JSON.parse(JSON.stringify(drawn.plan)) })).toEqual(drawn);
  });

  it("of an earlier day has none of the faults that came to be since", () => {
    const { network: _, crashesPerS: __, ...plan } = drawPlan({ seed: 33 });
    const pinned = drawPlan({ seed: 33, plan: { ...plan, network: { loss: 0.5 } } });
    expect(pinned).toMatchObject({ ...plan, crashesPerS: 0, network: { loss: 0.5, repeat: 0 } });
    expect(drawPlan({ seed: 33, plan, forMs: 7 }).forMs).toBe(7);
  });

  it("is kept in a file, and no file is written over", () => {
    const folder = mkdtempSync(join(tmpdir(), "pinned-"));
    try {
      const path = join(folder, "x.json");
      const regression = { found: "this and that", commit: "c", rule: "r", plan: drawPlan({ seed: 1 }) };
      writeRegression(path, regression);
      expect(readRegression(path)).toEqual(regression);
      expect(() => writeRegression(path, regression)).toThrow("EEXIST");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
