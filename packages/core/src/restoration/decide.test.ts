import { describe, expect, it } from "vitest";
import { isRejection, type Command } from "../kernel/command.ts";
import type { Noun } from "../kernel/noun.ts";
import { makeRegistry } from "../kernel/registry.ts";
import type { World } from "../kernel/world.ts";
import { registry } from "../registry.ts";
import { memberOf, operator, readyCluster, type RulesBench } from "../testing/rules-bench.ts";
import { decideStage, restorationsMax } from "./decide.ts";
import type { RestorationPartRow, RestorationRow } from "./state.ts";
import type { Wish } from "./wish.ts";

const source = { commit: "0a1b2c3d", index: 12, at: 1_000 };
const set = (id: string, value: unknown): Command => ({ type: "SetSetting", id, value });
const begin = (id: string, things: number, parts: number): Command => ({ type: "BeginRestore", id, source, things, parts });
const stage = (id: string, part: number, ...things: Wish[]): Command => ({
  type: "StageRestorePart",
  id: `${id}/${part}`,
  things,
});
const apply = (id: string): Command => ({ type: "ApplyRestore", id });
const drop = (id: string): Command => ({ type: "DropRestore", id });

const wanted = (id: string, version: number, value: unknown): Wish => ({
  noun: "setting",
  id,
  version,
  wanted: { value, description: "" },
});
const absent = (id: string, version: number): Wish => ({ noun: "setting", id, version, absent: true });
const duty = (id: string, version: number, wish: unknown): Wish => ({ noun: "node", id, version, wanted: wish });
const drained = { duty: "drained", reason: "fan" };

const settings = (world: World): Record<string, unknown> =>
  Object.fromEntries(
    [...world.all<{ value: unknown }>("setting")].filter(({ id }) => id.startsWith("app/")).map(({ id, row }) => [id, row.value]),
  );
const versionOf = (bench: RulesBench, noun: string, id: string): number => bench.world.get(noun, id)?.version ?? 0;
const partsOf = (bench: RulesBench): string[] => [...bench.world.all("restoration-part")].map(({ id }) => id);
const row = (bench: RulesBench, id: string): RestorationRow | undefined =>
  bench.world.get<RestorationRow>("restoration", id)?.row;

/** app/a 1, app/b 2. */
const arranged = (): RulesBench => {
  const bench = readyCluster(3);
  bench.try(set("app/a", 1));
  bench.try(set("app/b", 2));
  return bench;
};

describe("a restoration", () => {
  it("changes nothing while it is staged, and all of it with the one event that applies it", () => {
    const bench = arranged();
    expect(bench.outcome(begin("r1", 3, 2))).toEqual(["RestoreBegun"]);
    expect(bench.outcome(stage("r1", 2, wanted("app/c", 0, 3)))).toEqual(["RestorePartStaged", "RestorePartAdded"]);
    expect(bench.outcome(stage("r1", 1, wanted("app/a", 1, 9), absent("app/b", 1)))).toHaveLength(2);
    expect(settings(bench.world)).toEqual({ "app/a": 1, "app/b": 2 });
    const done = bench.try(apply("r1"));
    expect(done).toMatchObject({
      events: [{ type: "RestoreApplied", id: "r1", things: 3, events: 3 }],
      answer: { things: 3, appliedAt: null },
    });
    expect(settings(bench.world)).toEqual({ "app/a": 9, "app/c": 3 });
    expect(bench.world.get("setting", "app/a")).toMatchObject({ version: 2, index: bench.world.index });
    expect(partsOf(bench)).toEqual([]);
    // in the order of the parts, whatever the order in which they came
    const [second, first] = [bench.world.index - 2, bench.world.index - 1];
    expect(row(bench, "r1")).toEqual({
      state: "applied",
      source,
      things: 3,
      parts: 2,
      staged: [],
      entries: [first, second],
      appliedAt: bench.world.index,
    });
    const { index } = bench.world;
    expect(bench.try(apply("r1"))).toEqual({ events: [], answer: { things: 3, appliedAt: index } });
  });

  it("is not applied when a thing has changed since it was planned, nor when a part is missing or says too much", () => {
    const bench = arranged();
    bench.try(begin("r1", 2, 2));
    expect(bench.outcome(stage("r1", 1, wanted("app/a", 7, 9)))).toBe("stale");
    expect(bench.outcome(stage("r1", 3, wanted("app/a", 1, 9)))).toBe("invalid");
    bench.try(stage("r1", 1, wanted("app/a", 1, 9)));
    expect(bench.outcome(stage("r1", 1, wanted("app/a", 1, 9)))).toEqual([]);
    expect(bench.outcome(stage("r1", 1, wanted("app/b", 1, 9)))).toBe("conflict");
    expect(bench.outcome(apply("r1"))).toBe("conflict");
    bench.try(stage("r1", 2, absent("app/b", 1)));
    bench.try(set("app/b", 3));
    expect(bench.try(apply("r1"))).toMatchObject({
      reason: "stale",
      message: expect.stringContaining("setting app/b is at version 2"),
    });
    expect(settings(bench.world)).toEqual({ "app/a": 1, "app/b": 3 });
    // of version 1 again, and another
    bench.try(begin("r5", 1, 1));
    expect(bench.outcome(stage("r5", 1, { ...absent("app/a", 1), index: 3 }))).toBe("stale");
    bench.try(begin("r4", 1, 1));
    bench.try(stage("r4", 1, absent("app/a", 1)));
    bench.try({ type: "RemoveSetting", id: "app/a" });
    bench.try(set("app/a", 1));
    expect(bench.try(apply("r4"))).toMatchObject({ reason: "stale", message: expect.stringContaining("made anew") });
    bench.try(begin("r2", 2, 2));
    bench.try(stage("r2", 1, wanted("app/a", 1, 9)));
    bench.try(stage("r2", 2, wanted("app/a", 1, 8)));
    expect(bench.try(apply("r2"))).toMatchObject({ reason: "invalid", message: expect.stringContaining("restored twice") });
    bench.try(begin("r3", 5, 1));
    bench.try(stage("r3", 1, wanted("app/a", 1, 9)));
    expect(bench.outcome(apply("r3"))).toBe("conflict");
    expect(bench.outcome(apply("r9"))).toBe("not_found");
  });

  it("takes no wish that its noun would not make an event of", () => {
    const bench = arranged();
    bench.try(begin("r1", 1, 1));
    const refused: readonly (readonly [Wish, string])[] = [
      [{ noun: "setting", id: "app/a", version: 1, wanted: 7 }, "conflict"],
      [{ noun: "node", id: "n9", version: 0, wanted: { duty: "on-duty" } }, "conflict"],
      [{ noun: "node", id: "n1", version: versionOf(bench, "node", "n1"), absent: true }, "conflict"],
      [{ noun: "restoration", id: "r1", version: 1, absent: true }, "invalid"],
      [{ noun: "setting", id: "app/a", version: 1 }, "invalid"],
      [{ ...wanted("app/a", 1, 1), absent: true }, "invalid"],
    ];
    for (const [wish, reason] of refused) expect(bench.outcome(stage("r1", 1, wish)), JSON.stringify(wish)).toBe(reason);
    expect(partsOf(bench)).toEqual([]);
  });

  it("keeps the rules that hold over several things: thresholds, and a quorum under all of its drains together", () => {
    const bench = arranged();
    const versions = ["n1", "n2", "n3"].map((id) => versionOf(bench, "node", id));
    const tried = (id: string, ...things: Wish[]): string | readonly string[] => {
      bench.try(begin(id, things.length, 1));
      const staged = bench.outcome(stage(id, 1, ...things));
      return typeof staged === "string" ? staged : bench.outcome(apply(id));
    };
    expect(tried("r1", duty("n1", versions[0]!, drained), duty("n2", versions[1]!, drained))).toBe("quorum_at_risk");
    expect(tried("r2", duty("n3", versions[2]!, drained))).toEqual(["RestoreApplied"]);
    // the one that comes back makes up for the one that goes
    expect(tried("r3", duty("n2", versions[1]!, drained))).toBe("quorum_at_risk");
    const swap = [duty("n2", versions[1]!, drained), duty("n3", versions[2]! + 1, { duty: "on-duty" })];
    expect(tried("r4", ...swap)).toEqual(["RestoreApplied"]);
    expect([bench.node("n2").duty, bench.node("n3").duty]).toEqual(["draining", "on-duty"]);
    expect(tried("r5", wanted("cpu_warning", versionOf(bench, "setting", "cpu_warning"), 0.95))).toBe("conflict");
    expect(tried("r6", wanted("cpu_warning", versionOf(bench, "setting", "cpu_warning"), "much"))).toBe("invalid");
    const pair = ["cpu_warning", "cpu_critical"].map((id, i) => wanted(id, versionOf(bench, "setting", id), 0.95 + i / 100));
    expect(tried("r7", ...pair)).toEqual(["RestoreApplied"]);
  });

  it("that was not applied leaves nothing when it is dropped, or when another one begins", () => {
    const bench = arranged();
    bench.try(begin("r1", 2, 2));
    bench.try(stage("r1", 2, wanted("app/a", 1, 9)));
    expect(bench.outcome(begin("r1", 2, 2))).toEqual([]);
    expect(bench.outcome(begin("r1", 3, 2))).toBe("conflict");
    expect(bench.outcome(begin("r2", 1, 1), memberOf("n1"))).toEqual(["RestorePartDropped", "RestoreDropped", "RestoreBegun"]);
    expect(partsOf(bench)).toEqual([]);
    for (const late of [stage("r1", 1, wanted("app/b", 1, 9)), apply("r1"), begin("r1", 2, 2)])
      expect(bench.outcome(late)).toBe("conflict");
    bench.try(stage("r2", 1, wanted("app/a", 1, 9)));
    expect(bench.outcome(drop("r2"))).toEqual(["RestorePartDropped", "RestoreDropped"]);
    expect(bench.outcome(drop("r2"))).toEqual([]);
    expect(settings(bench.world)).toEqual({ "app/a": 1, "app/b": 2 });
    bench.try(begin("r3", 1, 1));
    bench.try(stage("r3", 1, wanted("app/a", 1, 9)));
    bench.try(apply("r3"));
    expect(bench.outcome(drop("r3"))).toBe("conflict");
    expect(bench.outcome(stage("r3", 1, wanted("app/a", 2, 9)))).toBe("conflict");
  });

  it("stages no event that a member of an older build could not read", () => {
    const bench = arranged();
    bench.try(begin("r1", 1, 1));
    const setting = registry.noun("setting") as Noun;
    const newer = makeRegistry([{ ...setting, events: setting.events.map((event) => ({ ...event, level: 2 })) }]);
    const command = { type: "StageRestorePart", id: "r1/1", things: [wanted("app/a", 1, 9)] };
    expect(decideStage(newer, bench.world, command)).toMatchObject({ reason: "feature_level" });
  });

  it("is remembered while it is one of the newest", () => {
    const bench = arranged();
    for (let n = 1; n <= restorationsMax + 5; n++) bench.try(begin(`r${n}`, 1, 1));
    expect(bench.world.count("restoration")).toBe(restorationsMax);
    expect(row(bench, "r5")).toBeUndefined();
    expect([row(bench, "r6")?.state, row(bench, `r${restorationsMax + 5}`)?.state]).toEqual(["dropped", "staging"]);
  });

  it("holds events of the versions of its day, which are brought up to date when it is applied", () => {
    const bench = arranged();
    bench.try(begin("r1", 1, 1));
    bench.try(stage("r1", 1, wanted("app/a", 1, 9)));
    const part = bench.world.get<RestorationPartRow>("restoration-part", "r1/1")?.row;
    const { type, ...applied } = { type: "RestoreApplied", v: 1, id: "r1", things: 1, events: 1, entries: [1] };
    const noun = registry.noun("restoration");
    const expanded = [...(noun?.expand?.({ type, ...applied }, bench.world) ?? [])];
    expect(expanded.map((event) => event.type)).toEqual(["SettingChanged", "RestorePartDropped"]);
    expect(expanded[0]).toBe(part?.events[0]);
    expect([...(noun?.expand?.({ type: "RestoreDropped", v: 1, id: "r1" }, bench.world) ?? [])]).toEqual([]);
    const missing = { type, ...applied, entries: [1, 2] };
    expect(() => [...(noun?.expand?.(missing, bench.world) ?? [])]).toThrow("without its part 2");
  });

  it("is asked for by operators and members only, in words that are checked", () => {
    for (const type of ["BeginRestore", "StageRestorePart", "ApplyRestore", "DropRestore"])
      expect(registry.command(type)?.roles).toEqual(["operator", "member"]);
    expect(operator.role).toBe("operator");
    const parsed = (command: Command): string => {
      const result = registry.command(command.type)?.parse(command);
      return result !== undefined && isRejection(result as never) ? (result as unknown as { message: string }).message : "taken";
    };
    expect(parsed(begin("r1", 1, 1))).toBe("taken");
    expect(parsed(begin("R1", 1, 1))).toContain('field "id"');
    expect(parsed(begin("r1", 0, 1))).toContain('field "things"');
    expect(parsed(stage("r1", 1))).toContain("1 to 8192 things");
    expect(parsed({ ...stage("r1", 1, wanted("app/a", 1, 1)), id: "r1/0" })).toContain('field "id"');
    const odd: readonly (readonly [unknown, string])[] = [
      [{ ...wanted("app/a", 1, 1), version: -1 }, "of thing 2 a version"],
      [{ ...wanted("app/a", 1, 1), index: 0.5 }, "of thing 2 a version"],
      [{ ...wanted("app/a", 1, 1), noun: 7 }, "of thing 2 a noun"],
      [{ ...wanted("app/a", 1, 1), id: "x".repeat(513) }, "of thing 2 an id"],
      [{ ...wanted("app/a", 1, 1), absent: false }, "of thing 2 absent"],
      [{ ...wanted("app/a", 1, 1), colour: 1 }, "of thing 2 no field colour"],
      [{ ...wanted("app/a", 1, 1), wanted: Number.NaN }, "of thing 2 wanted as a finite number"],
      [null, "of thing 2 its fields"],
    ];
    for (const [wish, fault] of odd) expect(parsed(stage("r1", 1, absent("app/b", 1), wish as Wish)), fault).toContain(fault);
    // the largest setting that there may be is a wish as well
    expect(parsed(stage("r1", 1, wanted("app/a", 1, "x".repeat(64 * 1024 - 2))))).toBe("taken");
    expect(parsed(stage("r1", 1, wanted("app/a", 1, "x".repeat(70 * 1024))))).toContain("JSON of at most");
  });
});
