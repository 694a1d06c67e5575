import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { blockOf, trustPage } from "../page.ts";
import { type Copy, makeCopy, mutantsFolder, root } from "./copy.ts";
import { mutate, parseMutant, readMutants } from "./patch.ts";
import { knownFirst, merged, pageOf, readRecord, type Result } from "./record.ts";
import { livesOf, upTo } from "./trial.ts";

const mutants = readMutants(mutantsFolder);
const source = (file: string): string => readFileSync(join(root, file), "utf8");

/** Three of different floors that are noticed within a handful of lives. */
const cheap = ["append-not-synced", "dice-in-a-rule", "removes-what-is-not-there"];
const seeds = 24;

describe("the mutants", () => {
  it("are many, and each says what it breaks", () => {
    expect(mutants.length).toBeGreaterThanOrEqual(60);
    expect(new Set(mutants.map(({ breaks }) => breaks)).size).toBe(mutants.length);
  });

  it.each(mutants.map((mutant) => [mutant.name, mutant] as const))("%s applies to the sources of today", (_, mutant) => {
    const before = source(mutant.file);
    expect(mutate(mutant, before)).not.toBe(before);
  });

  it("have their results in the record and on the page", () => {
    const record = readRecord();
    expect(record.filter(({ name }) => !mutants.some((mutant) => mutant.name === name))).toEqual([]);
    expect(blockOf(readFileSync(trustPage, "utf8"), "mutants")).toBe(pageOf(record).trim());
  });
});

describe("a mutant's trial", () => {
  let copy: Copy | null = null;
  afterAll(() => copy?.remove());

  it.each(cheap)("notices %s, and is sound without it", { timeout: 90_000 }, async (name) => {
    copy ??= makeCopy();
    const mutant = mutants.find((one) => one.name === name);
    if (mutant === undefined) throw new Error(`no mutant is called ${name}`);
    copy.put(mutant);
    const outcome = await livesOf(copy.program, upTo(seeds));
    copy.takeOut();
    expect(outcome).toMatchObject({ how: "caught" });
    if (outcome.how === "caught") expect(await livesOf(copy.program, [outcome.seed])).toEqual({ how: "sound", seeds: 1 });
  });

  it("does not take a program that does not load for a mutant that was noticed", { timeout: 90_000 }, async () => {
    copy ??= makeCopy();
    const cut = parseMutant("no-program", patch(['-await tell({ told: "loaded" });', '+await tell({ told: "loaded"']));
    const mutant = { ...cut, file: "packages/sim/src/mutants/lives.ts" };
    copy.put(mutant);
    expect(await livesOf(copy.program, [1])).toMatchObject({ how: "broken" });
    copy.takeOut();
  });
});

const patch = (hunk: readonly string[]): string =>
  ["name: no-program", "breaks: nothing", "--- a/x.ts", "+++ b/x.ts", "@@ -1,1 +1,1 @@", ...hunk, ""].join("\n");

describe("a patch", () => {
  const one = parseMutant("no-program", patch([" a", "-b", "+c", " d"]));

  it("finds its place wherever that has moved", () => {
    expect(mutate(one, "new\na\nb\nd\n")).toBe("new\na\nc\nd\n");
    expect(mutate(one, "a\nb\nd\nmore\n")).toBe("a\nc\nd\nmore\n");
  });

  it("is refused by its name where the place is gone, or is not the only one", () => {
    expect(() => mutate(one, "a\nb\nc\n")).toThrow("no-program does not apply: its place is not in x.ts");
    expect(() => mutate(one, "a\nb\nd\n\na\nb\nd\n")).toThrow("no-program does not apply: its place is more than once in x.ts");
  });

  it.each([
    ["no heading", "breaks: nothing", "breaks nothing"],
    ["another name", "name: no-program", "name: other"],
    ["two files", "+++ b/x.ts", "+++ b/y.ts"],
    ["two hunks", "-b", "-b\n@@ -9,1 +9,1 @@"],
    ["no change", "-b\n+c", " b"],
    ["many changes", "-b", "-b\n-b\n-b\n-b"],
  ])("with %s is refused", (_, right, wrong) => {
    const text = patch([" a", "-b", "+c", " d"]).replace(right, wrong);
    expect(() => parseMutant("no-program", text)).toThrow("the mutant no-program: ");
  });
});

describe("the record of results", () => {
  const result = (name: string, more: Partial<Result>): Result => ({
    name,
    breaks: "a rule",
    file: "x.ts",
    how: "caught",
    seed: 7,
    lives: 7,
    rule: "log matching",
    message: "",
    notCaughtBecause: null,
    seconds: 1,
    build: "abc",
    ...more,
  });
  const mutant = (name: string) => ({ ...parseMutant("no-program", patch(["-b", "+c"])), name });

  it("replaces what was tried again and drops what is no more", () => {
    const old = [result("a", {}), result("b", {}), result("gone", {})];
    const now = merged(old, [result("b", { seed: 9 })], [mutant("a"), mutant("b"), mutant("new")]);
    expect(now.map(({ name, seed }) => `${name} ${seed}`)).toEqual(["a 7", "b 9"]);
  });

  it("says which seed to try first: one that has noticed before", () => {
    expect(knownFirst([1, 2, 3], 3)).toEqual([3, 1, 2]);
    expect(knownFirst([1, 2, 3], 9)).toEqual([1, 2, 3]);
    expect(knownFirst([1, 2, 3], null)).toEqual([1, 2, 3]);
  });

  it("shows what was not caught, with the reason or without", () => {
    const page = pageOf([
      result("a", {}),
      result("b", { how: "sound", seed: null, lives: 2_000, rule: null }),
      result("c", { how: "sound", seed: null, lives: 2_000, rule: null, notCaughtBecause: "it costs time only" }),
    ]);
    expect(page).toContain("3 mutants, 1 caught: 0 by seed 1, 1 within 10 seeds");
    expect(page).toContain("| `b` | a rule | not in 2000 | **not explained** |");
    expect(page).toContain("| `c` | a rule | not in 2000 | it costs time only |");
  });
});
