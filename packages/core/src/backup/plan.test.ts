import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Command } from "../kernel/command.ts";
import type { World } from "../kernel/world.ts";
import { registry } from "../registry.ts";
import { admittedJson } from "../testing/admitted-json.ts";
import { readyCluster, type RulesBench } from "../testing/rules-bench.ts";
import { changesOf, chosenBy, planRestore, type Plan } from "./plan.ts";
import { filesOf, observedFolder, parseThing, type WantedThing } from "./thing-files.ts";

/** Path and text of everything that is wanted in a world. */
function wantedFiles(world: World): Map<string, string> {
  const files = registry.nouns.flatMap((noun) => [...world.all(noun.name)].flatMap((stored) => filesOf(noun, stored)));
  return new Map(files.filter(({ path }) => !path.startsWith(`${observedFolder}/`)).map(({ path, text }) => [path, text]));
}

const backedUp = (world: World): WantedThing[] => [...wantedFiles(world)].map(([path, text]) => parseThing(registry, path, text));
const everything = (): boolean => true;

const restored = (bench: RulesBench, things: readonly WantedThing[], chosen = everything): Plan => {
  const plan = planRestore(registry, bench.world, things, chosen);
  bench.world.apply(plan.things.flatMap(({ events }) => events));
  return plan;
};

const set = (id: string, value: unknown, description = ""): Command => ({ type: "SetSetting", id, value, description });

const key = fc.constantFrom("cpu_warning", "app/x", "app/y", "app/z");
const change: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ type: fc.constant("SetSetting"), id: key, value: admittedJson, description: fc.constantFrom("", "why") }),
  fc.record({ type: fc.constant("RemoveSetting"), id: key }),
  fc.record({ type: fc.constant("DrainNode"), id: fc.constantFrom("n1", "n2", "n3"), reason: fc.constantFrom("", "fan") }),
  fc.record({ type: fc.constant("UndrainNode"), id: fc.constantFrom("n1", "n2", "n3") }),
);

describe("a restore", () => {
  it("of a backup brings back what was wanted then, whatever was done since, and leaves nothing for another one to do", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), fc.array(change, { maxLength: 12 }), (before, after) => {
        const bench = readyCluster(3);
        for (const command of before) bench.try(command);
        const files = wantedFiles(bench.world);
        const things = backedUp(bench.world);
        for (const command of after) bench.try(command);
        const plan = restored(bench, things);
        expect(plan.kept).toEqual([]);
        expect(withoutReasons(wantedFiles(bench.world))).toEqual(withoutReasons(files));
        expect(restored(bench, things).things).toEqual([]);
      }),
    );
  });

  it("shows what it would create, change and remove, field by field", () => {
    const bench = readyCluster(3);
    bench.try(set("app/a", { limit: 1, hosts: ["x"], name: "web" }, "first"));
    bench.try(set("app/b", 1));
    bench.try({ type: "DrainNode", id: "n3", reason: "fan" });
    const things = backedUp(bench.world);
    bench.try(set("app/a", { limit: 2, hosts: ["x", "y"], more: true }, "first"));
    bench.try({ type: "RemoveSetting", id: "app/b" });
    bench.try(set("app/c", true));
    bench.try({ type: "UndrainNode", id: "n3" });
    const { things: planned, unchanged } = planRestore(registry, bench.world, things, everything);
    expect(planned.map(({ noun, id, kind, version }) => [noun, id, kind, version])).toEqual([
      ["node", "n3", "changed", 5],
      ["setting", "app/a", "changed", 2],
      ["setting", "app/b", "created", 0],
      ["setting", "app/c", "removed", 1],
    ]);
    expect(planned[1]?.fields).toEqual([
      { field: "value.hosts", from: ["x", "y"], to: ["x"] },
      { field: "value.limit", from: 2, to: 1 },
      { field: "value.more", from: true, to: undefined },
      { field: "value.name", from: undefined, to: "web" },
    ]);
    expect(planned.map(({ events }) => events.map(({ type }) => type))).toEqual([
      ["NodeDrainStarted"],
      ["SettingChanged"],
      ["SettingChanged"],
      ["SettingRemoved"],
    ]);
    expect(unchanged).toBe(bench.world.count("setting") + bench.world.count("node") + 1 - 3);
  });

  it("leaves alone what is not wanted state, and says so", () => {
    const bench = readyCluster(3);
    const things = backedUp(bench.world);
    bench.try({ type: "ScaleCluster", id: "home", size: 4 });
    bench.try({ type: "ShutDownNode", id: "n2", force: true, reason: "broken" });
    const why = (more: readonly WantedThing[]): string[] =>
      planRestore(registry, bench.world, more, everything).kept.map((kept) => `${kept.noun}/${kept.id}: ${kept.why}`);
    expect(why(things)).toEqual([
      "cluster/home: it has 4 members and the backup says 3: aether cluster scale changes that",
      "node/n2: it is shutting down, and does not come back",
      "node/n4: nodes are not removed by a restore: aether node shutdown does it",
    ]);
    const others: WantedThing[] = [
      { noun: "cluster", id: "away", wanted: { size: 1 } },
      { noun: "node", id: "n9", wanted: { duty: "on-duty" } },
      { noun: "node", id: "n1", wanted: { duty: "asleep" } },
      { noun: "node", id: "n3", wanted: { duty: "drained", reason: 7 } },
      { noun: "node", id: "n4", wanted: { duty: "drained" } },
      { noun: "setting", id: "app/a", wanted: { value: 1, description: 7 } },
      { noun: "setting", id: "app/b", wanted: { value: 1, description: "", colour: "red" } },
      { noun: "setting", id: "app/c", wanted: null },
    ];
    const said = why(others).join("\n");
    for (const part of [
      "another cluster",
      "no such node",
      "should be on duty",
      "reason for its drain",
      "still joining",
      "cannot be set",
      "more of it",
    ])
      expect(said).toContain(part);
    expect(said).toContain("setting/app/c: the backup's value cannot be set");
    expect(
      planRestore(registry, bench.world, others, (noun) => noun === "setting").things.every(({ kind }) => kind === "removed"),
    ).toBe(true);
  });

  it("of a part leaves the rest", () => {
    const bench = readyCluster(3);
    for (const id of ["cpu_a", "cpu_b", "disk/cpu_c", "mem"]) bench.try(set(id, 1));
    const things = backedUp(bench.world);
    for (const id of ["cpu_a", "cpu_b", "disk/cpu_c", "mem", "cpu_new"]) bench.try(set(id, 2));
    const ids = (...patterns: string[]): string[] =>
      planRestore(registry, bench.world, things, chosenBy(registry, patterns)).things.map(({ id }) => id);
    expect(ids("setting/cpu_*")).toEqual(["cpu_a", "cpu_b", "cpu_new"]);
    expect(ids("setting/*cpu_c", "setting/mem")).toEqual(["disk/cpu_c", "mem"]);
    expect(ids("setting")).toHaveLength(5);
    expect(ids("*/mem", "node")).toEqual(["mem"]);
    expect(ids("node")).toEqual([]);
    expect(ids()).toHaveLength(5);
    expect(ids("setting/cpu.a")).toEqual([]);
    expect(() => chosenBy(registry, ["planet/x"])).toThrow(/no planet/);
  });
});

/** A drain that goes on keeps the reason it has. */
const withoutReasons = (files: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...files].map(([path, text]) => [path, path.startsWith("nodes/") ? text.replace(/,\n {4}"reason": ".*"/, "") : text]));

describe("what changes of a value", () => {
  it("is told where both sides have fields, else as a whole", () => {
    expect(changesOf(1, 1, "a")).toEqual([]);
    expect(changesOf({ a: { b: 1, c: 2 } }, { a: { b: 1, c: 3 } }, "")).toEqual([{ field: "a.c", from: 2, to: 3 }]);
    expect(changesOf([1], [2], "list")).toEqual([{ field: "list", from: [1], to: [2] }]);
    expect(changesOf({ a: 1 }, undefined, "")).toEqual([{ field: "", from: { a: 1 }, to: undefined }]);
    expect(changesOf({ a: null }, {}, "")).toEqual([{ field: "a", from: null, to: undefined }]);
  });
});
