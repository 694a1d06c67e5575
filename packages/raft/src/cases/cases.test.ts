import { describe, expect, it } from "vitest";
import { clusterRunners } from "./cluster-cases.ts";
import { interactionRunners } from "./interaction-cases.ts";
import { leaderRunners } from "./leader-cases.ts";
import { logRunners } from "./log-cases.ts";
import { nodeRunners } from "./node-cases.ts";
import { loadLeftOut, loadSuites, type Runner } from "./suite.ts";
import { unitRunners } from "./unit-cases.ts";

const runners: Record<string, Runner> = {
  ...unitRunners,
  ...logRunners,
  ...nodeRunners,
  ...leaderRunners,
  ...clusterRunners,
  ...interactionRunners,
};
const suites = loadSuites();

for (const suite of suites.filter((s) => s.cases.length > 0)) {
  describe(suite.id, () => {
    suite.cases.forEach((c, i) => {
      it(c.name ?? `case ${i}: ${JSON.stringify(c).slice(0, 90)}`, () => runners[suite.id]!(c, suite.given));
    });
  });
}

describe("carried-over cases", () => {
  it("are all accounted for: what runs and what is left out make the whole source", () => {
    const leftOut = loadLeftOut();
    for (const suite of suites) {
      const left = leftOut.filter((l) => l.suite === suite.id);
      expect(suite.cases.length + left.length, suite.id).toBe(suite.upstream);
      expect(new Set(left.map((l) => l.case)).size, suite.id).toBe(left.length);
    }
    expect(suites.flatMap((s) => (s.cases.length > 0 ? [s.id] : [])).sort()).toEqual(Object.keys(runners).sort());
    expect(leftOut.every((l) => l.why.length > 20)).toBe(true);
    const run = suites.reduce((sum, s) => sum + s.cases.length, 0);
    expect({ suites: suites.length, run, leftOut: leftOut.length }).toEqual({ suites: 74, run: 712, leftOut: 24 });
  });
});
