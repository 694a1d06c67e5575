import { describe, expect, it } from "vitest";
import type { World } from "../kernel/world.ts";
import { settingsMax } from "./decide.ts";
import { descriptionCharsMax } from "./events.ts";
import { checkSettings, restoreSetting } from "./restore.ts";

describe("settings that are restored", () => {
  it("are not more than there may be", () => {
    const holding = (count: number): World => ({ count: () => count, get: () => undefined, all: () => [] });
    expect(checkSettings(holding(0), holding(settingsMax), new Set())).toBeNull();
    expect(checkSettings(holding(0), holding(settingsMax + 1), new Set())).toMatchObject({ reason: "too_many" });
  });

  it("come back as they were, or stay as they are for a reason", () => {
    expect(restoreSetting("a", undefined, { value: [1], description: "why" })).toMatchObject([
      { type: "SettingChanged", id: "a", value: [1], description: "why" },
    ]);
    expect(restoreSetting("a", { value: 1, description: "" }, undefined)).toMatchObject([{ type: "SettingRemoved", id: "a" }]);
    const odd: readonly (readonly [unknown, string])[] = [
      [{ value: 1 }, "description is no text"],
      [{ value: 1, description: "x".repeat(descriptionCharsMax + 1) }, "description is no text"],
      [{ description: "" }, "which has no undefined"],
      [{ value: "x".repeat(70_000), description: "" }, "JSON of at most"],
      [{ value: 1, description: "", colour: "red" }, "more of it"],
    ];
    for (const [wanted, why] of odd) expect(restoreSetting("a", undefined, wanted), why).toContain(why);
  });
});
