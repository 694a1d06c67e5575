import { describe, expect, it } from "vitest";
import type { Rejection } from "../kernel/command.ts";
import type { World } from "../kernel/world.ts";
import { registry } from "../registry.ts";
import { readyCluster, RulesBench } from "../testing/rules-bench.ts";
import { settingsMax } from "./decide.ts";
import { thresholds } from "./thresholds.ts";

const set = (id: string, value: unknown, more: object = {}) => ({ type: "SetSetting", id, value, ...more });
const remove = (id: string) => ({ type: "RemoveSetting", id });

describe("settings", () => {
  it("take any JSON value under their key, and keep their description until it is changed", () => {
    const b = new RulesBench();
    for (const value of [0, "", false, null, [1, [2]], { a: { b: null } }]) {
      expect(b.outcome(set("app/theme.main-1", value))).toEqual(["SettingChanged"]);
      expect(b.world.get("setting", "app/theme.main-1")?.row).toEqual({ value, description: "" });
    }
    b.try(set("k", 1, { description: "how many" }));
    b.try(set("k", 2));
    expect(b.world.get("setting", "k")).toMatchObject({ version: 2, row: { value: 2, description: "how many" } });
  });

  it("that are set to what they are change nothing, whatever the order of keys", () => {
    const b = new RulesBench();
    b.try(set("k", { a: 1, b: [1, 2] }));
    expect(b.outcome(set("k", { b: [1, 2], a: 1 }))).toEqual([]);
    expect(b.outcome(set("k", { b: [2, 1], a: 1 }))).toEqual(["SettingChanged"]);
    expect(b.outcome(set("k", { b: [2, 1], a: 1 }, { description: "x" }))).toEqual(["SettingChanged"]);
  });

  it("can be removed once", () => {
    const b = new RulesBench();
    b.try(set("k", 1));
    expect(b.outcome(remove("k"))).toEqual(["SettingRemoved"]);
    expect(b.outcome(remove("k"))).toBe("not_found");
    expect(b.world.get("setting", "k")).toBeUndefined();
  });

  it("are refused with every field that is wrong", () => {
    const parse = (input: object) => registry.command("SetSetting")?.parse({ type: "SetSetting", ...input }) as Rejection;
    expect(parse({ id: "Key", value: 1n, extra: 1 })).toEqual({
      rejected: true,
      reason: "invalid",
      message:
        'SetSetting: field "extra" is not known; field "id": expected 1 to 128 lower-case letters, digits and _ . / -, a letter first; ' +
        'field "value": expected JSON, which has no bigint',
      hint: "its fields are id, ifVersion, value, description",
    });
    for (const value of [undefined, Number.NaN, new Date(), new Uint8Array(2), new Map(), "x".repeat(65_536)]) {
      expect(parse({ id: "k", value })).toMatchObject({ reason: "invalid" });
    }
    expect(parse({ id: "k", value: JSON.parse('[{"__proto__":1}]') as unknown })).toMatchObject({
      message: 'SetSetting: field "value": expected JSON without a field called __proto__',
    });
    expect(parse({ id: "k" })).toMatchObject({ message: 'SetSetting: field "value" is missing' });
    expect(parse({ id: `k${"x".repeat(128)}`, value: 1 })).toMatchObject({ reason: "invalid" });
  });

  it("have a limit, and those that exist can still be changed at it", () => {
    const b = new RulesBench();
    b.try(set("known", 1));
    const full: World = {
      get: (noun, id) => b.world.get(noun, id),
      all: (noun) => b.world.all(noun),
      count: () => settingsMax,
    };
    const decide = (input: { type: string; id: string; value: unknown }) =>
      registry.command("SetSetting")?.decide(full, input, { actor: { name: "o", role: "operator" }, at: 0, bits: "" });
    expect(decide(set("new", 1))).toMatchObject({ reason: "too_many" });
    expect(decide(set("known", 2))).toMatchObject({ events: [{ type: "SettingChanged" }] });
  });
});

describe("known thresholds", () => {
  it("take a share from 0 to 1", () => {
    const b = readyCluster(1);
    expect(b.outcome(set("cpu_warning", 0.5))).toEqual(["SettingChanged"]);
    for (const value of [-0.1, 1.1, "0.5", null, [0.5]]) expect(b.outcome(set("cpu_warning", value))).toBe("invalid");
  });

  it("keep a warning below its critical, also against the default of a partner that was never set", () => {
    const b = new RulesBench();
    expect(b.try(set("disk_warning", 0.9))).toMatchObject({
      reason: "conflict",
      message: "disk_warning = 0.9 would not be below disk_critical = 0.9: a warning must come before its critical",
    });
    b.try(set("disk_critical", 0.95));
    expect(b.outcome(set("disk_warning", 0.9))).toEqual(["SettingChanged"]);
    expect(b.outcome(remove("disk_critical"))).toBe("conflict");
    expect(b.outcome(set("disk_critical", 0.85))).toBe("conflict");
    b.try(set("disk_warning", 0.7));
    expect(b.outcome(remove("disk_critical"))).toEqual(["SettingRemoved"]);
  });

  it("have defaults that fit each other, with a description", () => {
    const b = readyCluster(1);
    for (const { key, default: value, partner, level } of thresholds) {
      const other = thresholds.find((threshold) => threshold.key === partner)?.default ?? Number.NaN;
      expect(level === "warning" ? value < other : value > other).toBe(true);
      expect(b.world.get("setting", key)?.row).toMatchObject({
        value,
        description: expect.stringContaining("Share of ") as unknown,
      });
    }
  });
});
