import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { blockOf, trustPage } from "../page.ts";
import { putRecord, readRecords, type SoakRecord, soakPage } from "./record.ts";
import { Soak } from "./soak.ts";

const record = (run: string, lives: number): SoakRecord => ({
  run,
  commit: "0123456789abcdef",
  machine: "a machine",
  from: 1,
  to: lives,
  lives,
  broken: [],
  virtualS: 3_600,
  steps: 10,
  wallS: 60,
  cpuS: 120,
  counts: { "faults.crashes": 2, "faults.steps": 9, "faults.meteors": 1, "clients.done": 5 },
});

describe("records of soaks", () => {
  let folder = "";
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), "soak-"))));
  afterAll(() => rm(folder, { recursive: true }));

  it("are added one by one, also at once, and a run that goes on replaces its own", async () => {
    const path = join(folder, "soak.json");
    expect(await readRecords(path)).toEqual([]);
    await putRecord(record("a", 1), path);
    await Promise.all(["b", "c", "d"].map((run) => putRecord(record(run, 1), path)));
    await putRecord(record("a", 7), path);
    const records = await readRecords(path);
    expect(Object.fromEntries(records.map(({ run, lives }) => [run, lives]))).toEqual({ a: 7, b: 1, c: 1, d: 1 });
    expect(records).toHaveLength(4);
    expect(await readdir(folder)).toEqual(["soak.json"]);
  });

  it("are shown as sums, faults without a name of their own included", () => {
    const page = soakPage([record("a", 1_000), record("b", 234)]);
    expect(page).toContain("| lives | 1,234 |");
    expect(page).toContain("| hours of virtual time | 2 |");
    expect(page).toMatch(/\| crashes of a process.* \| 4 \|/);
    expect(page).toContain("| meteors | 2 |");
    expect(page).not.toContain("steps");
  });

  it("fit what docs/trust.md says", async () => {
    expect(blockOf(await readFile(trustPage, "utf8"), "soak")).toBe(soakPage(await readRecords()));
  });
});

/** Workers load the whole product before their first life; a crowded machine takes its time over that. */
const soakMs = 300_000;

describe("a soak", { timeout: soakMs }, () => {
  it("lives as many seeds as it is told and counts what happened in them", async () => {
    const soak = new Soak({ from: 21, cores: 2, lives: 3, minutes: 10, keepGoing: false });
    await soak.run();
    const { from, to, lives, broken, steps, counts } = soak.record({ commit: "c", machine: "m" });
    expect({ from, to, lives, broken }).toEqual({ from: 21, to: 23, lives: 3, broken: [] });
    expect(steps).toBeGreaterThan(1_000);
    expect(counts["history.applied"]).toBeGreaterThan(10);
  });

  it("begins no further life when it is told to end", async () => {
    const soak = new Soak({ from: 21, cores: 1, lives: 1_000, minutes: 10, keepGoing: false });
    const running = soak.run();
    soak.end();
    await running;
    expect(soak.record({ commit: "c", machine: "m" }).lives).toBeLessThanOrEqual(1);
  });
});
