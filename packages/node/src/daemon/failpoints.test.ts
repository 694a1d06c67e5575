/** What AETHER_FAILPOINTS may say, and when what it says strikes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { failpointPlaces, type Failpoint } from "@aether/core/kernel/failpoint";
import { makeFailpoints, readFailpoints, type FailpointPlan } from "./failpoints.ts";

const planOf = (text: string, seed = "7"): FailpointPlan => {
  const plan = readFailpoints({ AETHER_FAILPOINTS: text, AETHER_FAILPOINTS_SEED: seed });
  if (plan === null || "errors" in plan) throw new Error(`refused: ${JSON.stringify(plan)}`);
  return plan;
};
const errorsOf = (text: string, seed = "7"): readonly string[] => {
  const plan = readFailpoints({ AETHER_FAILPOINTS: text, AETHER_FAILPOINTS_SEED: seed });
  return plan !== null && "errors" in plan ? plan.errors : [];
};

/** Failpoints whose effects are written down instead of done. */
function recorded(text: string, seed?: string) {
  const done: string[] = [];
  const lines: string[] = [];
  const points = makeFailpoints(
    planOf(text, seed),
    { warn: (event, fields) => lines.push(`${event} ${JSON.stringify(fields)}`) },
    {
      kill: () => done.push("kill"),
      sleep: async (ms) => void done.push(`sleep ${ms}`),
      block: (ms) => void done.push(`block ${ms}`),
    },
  );
  const at = (place: Failpoint): Promise<void> => points.at?.(place) ?? Promise.reject(new Error("not armed"));
  return { done, lines, at, now: (place: Failpoint) => points.now?.(place) };
}

/** The passages of 1..`of` at which the rule struck. */
async function struck(text: string, seed: string, of: number): Promise<readonly number[]> {
  const points = recorded(text, seed);
  const found: number[] = [];
  for (let passage = 1; passage <= of; passage++) {
    const before = points.done.length;
    await points.at("beforeFlush");
    if (points.done.length > before) found.push(passage);
  }
  return found;
}

describe("AETHER_FAILPOINTS", () => {
  it("arms nothing when it is not set or empty", () => {
    expect(readFailpoints({})).toBeNull();
    expect(readFailpoints({ AETHER_FAILPOINTS: "" })).toBeNull();
    expect(readFailpoints({ AETHER_FAILPOINTS_SEED: "5" })).toBeNull();
  });

  it("reads places, actions, chances and passages", () => {
    expect(planOf("beforeFlush=kill@0.01; afterSnapRename=sleep:200@0.5;beforeAppendSync=error:EIO#3;")).toEqual({
      seed: 7,
      rules: [
        { place: "beforeFlush", action: { do: "kill" }, text: "beforeFlush=kill@0.01", chance: 0.01, nth: null },
        {
          place: "afterSnapRename",
          action: { do: "sleep", ms: 200 },
          text: "afterSnapRename=sleep:200@0.5",
          chance: 0.5,
          nth: null,
        },
        {
          place: "beforeAppendSync",
          action: { do: "error", code: "EIO" },
          text: "beforeAppendSync=error:EIO#3",
          chance: 1,
          nth: 3,
        },
      ],
    });
  });

  it("says of each wrong rule what was expected", () => {
    expect(errorsOf("beforeFlsh=kill")).toEqual([
      expect.stringMatching(/"beforeFlsh=kill".* did you mean beforeFlush\?/) as string,
    ]);
    expect(errorsOf("nowhere=kill")[0]).toContain("beforeAppendSync");
    for (const text of ["beforeFlush", "beforeFlush=", "beforeFlush=die", "beforeFlush=sleep:0", "beforeFlush=sleep:600001"])
      expect(errorsOf(text), text).toHaveLength(1);
    for (const text of [
      "beforeFlush=error:EWHAT",
      "beforeFlush=kill@0",
      "beforeFlush=kill@2",
      "beforeFlush=kill@",
      "beforeFlush=kill#0",
    ])
      expect(errorsOf(text), text).toHaveLength(1);
    for (const text of [
      "beforeFlush=kill#",
      "beforeFlush=kill#1.5",
      "beforeFlush=kill@0.5#2",
      "beforeFlush=kill#2@0.5",
      "toString=kill",
    ])
      expect(errorsOf(text), text).toHaveLength(1);
    expect(errorsOf("beforeFlush=kill", "soon")).toEqual([expect.stringContaining("AETHER_FAILPOINTS_SEED=soon") as string]);
    expect(errorsOf("beforeFlush=kill;".repeat(65))).toEqual([expect.stringContaining("at most 64 rules") as string]);
  });
});

describe("an armed failpoint", () => {
  it("strikes at its place only, and every time without a chance or a number", async () => {
    const { done, at } = recorded("beforeFlush=kill");
    await at("afterFlush");
    await at("beforeFlush");
    await at("beforeFlush");
    expect(done).toEqual(["kill", "kill"]);
  });

  it("strikes at the passage named, once", async () => {
    expect(await struck("beforeFlush=sleep:5#3", "1", 10)).toEqual([3]);
  });

  it("strikes by chance about as often as it says, at the same passages for the same seed", async () => {
    const first = await struck("beforeFlush=kill@0.2", "11", 1_000);
    expect(first.length).toBeGreaterThan(150);
    expect(first.length).toBeLessThan(250);
    expect(await struck("beforeFlush=kill@0.2", "11", 1_000)).toEqual(first);
    expect(await struck("beforeFlush=kill@0.2;beforeTrim=kill@0.9", "11", 1_000)).toEqual(first);
    expect(await struck("beforeFlush=kill@0.2", "12", 1_000)).not.toEqual(first);
  });

  it("fails as the system would: with a code and in words", async () => {
    const { at, now } = recorded("beforeFlush=error:ENOSPC;beforeApply=error:EIO");
    await expect(at("beforeFlush")).rejects.toMatchObject({ code: "ENOSPC", message: "ENOSPC: failpoint beforeFlush" });
    expect(() => now("beforeApply")).toThrow("EIO: failpoint beforeApply");
  });

  it("waits where the code can wait, and blocks the process where it cannot", async () => {
    const { done, at, now } = recorded("beforeFlush=sleep:20;beforeApply=sleep:30");
    await at("beforeFlush");
    now("beforeApply");
    expect(done).toEqual(["sleep 20", "block 30"]);
  });

  it("is told in the log: kills and errors each time, sleeps the first time", async () => {
    const { lines, at } = recorded("beforeFlush=sleep:20;afterFlush=kill");
    for (let n = 0; n < 3; n++) await at("beforeFlush");
    await at("afterFlush");
    await at("afterFlush");
    expect(lines.map((line) => JSON.parse(line.slice("failpoint ".length)) as unknown)).toEqual([
      { place: "beforeFlush", rule: "beforeFlush=sleep:20", passage: 1 },
      { place: "afterFlush", rule: "afterFlush=kill", passage: 1 },
      { place: "afterFlush", rule: "afterFlush=kill", passage: 2 },
    ]);
  });
});

describe("docs/internals/failpoints.md", () => {
  it("names every place with its meaning", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../../docs/internals/failpoints.md"), "utf8");
    for (const [place, meaning] of Object.entries(failpointPlaces)) expect(page).toContain(`| \`${place}\` | ${meaning} |`);
  });
});
