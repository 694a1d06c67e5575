import { describe, expect, it } from "vitest";
import { readFileSync } from "node:fs";
import { parseBench } from "./options.ts";
import { defaultPage, partBlock, partNames, withBlocks } from "./page.ts";
import { parts } from "./parts.ts";
import { countsOf } from "./inspector.ts";
import { floors } from "./guards.ts";
import { growthSteps } from "./growth.ts";
import { replayRate } from "./replay.ts";
import { withRoom } from "./roomy-build.ts";
import { windowOf } from "./snapshot.ts";

const page = ["# Speed", "<!-- measured: reads -->", "old", "<!-- /measured -->", "prose stays"].join("\n");

describe("the page of results", () => {
  it("replaces what was measured and keeps what was written", () => {
    const written = withBlocks(page, { reads: "new" });
    expect(written).toContain("new");
    expect(written).not.toContain("old");
    expect(written).toContain("prose stays");
    expect(withBlocks(written, { reads: "new" })).toBe(written);
  });

  it("refuses a block that it has nothing for, or that has no end", () => {
    expect(() => withBlocks(page, {})).toThrow("reads");
    expect(() => withBlocks("<!-- measured: reads -->\nold", { reads: "new" })).toThrow("reads");
    expect(() => withBlocks(`<!-- measured: reads -->\n${page}`, { reads: "new" })).toThrow("reads");
  });

  it("says of a part that was not measured how to measure it", () => {
    expect(partBlock("growth", undefined)).toContain("npm run bench -- growth");
  });

  it("has a block for the targets and for every part that can be measured", () => {
    const text = readFileSync(defaultPage, "utf8");
    const blocks = [...text.matchAll(/<!-- measured: ([a-z]+) -->/g)].map(([, name = ""]) => name);
    expect(blocks.toSorted()).toEqual(["targets", ...partNames].toSorted());
    expect(parts.map(({ name }) => name).toSorted()).toEqual([...partNames].toSorted());
  });

  it("names no command that the bench does not take", () => {
    const text = readFileSync(defaultPage, "utf8");
    const known = new Set<string>([...partNames, "page", "apply", "log", "driver"]);
    const commands = [...text.matchAll(/npm run bench -- ([^`\n#|]+)/g)].map(([, args = ""]) => args.trim());
    expect(commands.length).toBeGreaterThan(3);
    for (const command of commands) {
      const args = command.split(/\s+/).filter((arg) => arg !== "PART" && arg !== "");
      const parsed = parseBench(args, { program: "p", results: "r", scratch: "s" });
      expect(parsed, command).toMatchObject({ ok: true });
      if (parsed.ok) expect(parsed.request.parts.filter((name) => !known.has(name))).toEqual([]);
    }
  });
});

describe("what parts make of what they see", () => {
  it("memory comes before restart, which would spoil it", () => {
    const names = parts.map(({ name }) => name);
    expect(names.indexOf("memory")).toBeLessThan(names.indexOf("restart"));
  });

  it("growth changes one thing from step to step", () => {
    const steps = growthSteps(100, 1_000, 5_000, 2_000);
    expect(steps).toEqual([
      { entries: 20, rows: 1 },
      { entries: 120, rows: 100 },
      { entries: 1_000, rows: 100 },
      { entries: 5_000, rows: 100 },
      { entries: 7_000, rows: 2_000 },
    ]);
  });

  it("a snapshot's window holds whole writes of the other members only", () => {
    const samples = [
      { asked: 5, acknowledged: 12, place: 0 },
      { asked: 10, acknowledged: 14, place: 0 },
      { asked: 11, acknowledged: 13, place: 1 },
      { asked: 12, acknowledged: 19, place: 2 },
      { asked: 18, acknowledged: 30, place: 0 },
    ];
    expect(windowOf({ samples }, 1, 10, 20)).toEqual({ seconds: 0.01, count: 2, p50: 4, p99: 7, p999: 7 });
  });

  it("a heap that rises and falls has a floor; one that leaks raises it", () => {
    expect(floors([30, 38, 34, 31, 37, 35, 30, 39, 33])).toMatchObject({ before: 30, after: 30, growth: 0 });
    expect(floors([30, 38, 34, 40, 48, 44, 45, 58, 54]).growth).toBe(0.5);
    expect(floors([30, 31]).growth).toBeNaN();
  });

  it("the daemon with room for many rows differs in one number, which must be there once", () => {
    expect(withRoom("var settingsMax = 1e5, other = 1e5;")).toBe("var settingsMax = 4000000, other = 1e5;");
    expect(() => withRoom("var rowsMax = 1e5;")).toThrow("0 times");
    expect(() => withRoom("settingsMax = 1e5; settingsMax = 1e5;")).toThrow("2 times");
  });

  it("calls are counted in the daemon's script alone", () => {
    const ranges = [{ count: 3 }];
    const of = (url: string) => ({ url, functions: [{ functionName: "encodeEntry", ranges }] });
    const coverage = { result: [of("file:///x/aetherd.js"), of("node:internal/other")] };
    expect(countsOf(coverage, "aetherd.js", ["encodeEntry", "gone"])).toEqual({ encodeEntry: 3, gone: 0 });
  });

  it("the replay's rate is read from its line, or is unknown", () => {
    expect(replayRate(["apply 1/s", "replay, 1,000,000 events      312,345/s (1/s to 2/s)"])).toBe(312_345);
    expect(replayRate(["apply 1/s"])).toBeNull();
  });
});
