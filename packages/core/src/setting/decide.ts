/** The rules of settings. A known threshold must be a share, and a warning must come before its critical. */
import { reject, type Command, type Decision, type Rejection } from "../kernel/command.ts";
import { jsonEqual } from "../kernel/json.ts";
import type { World } from "../kernel/world.ts";
import { SettingChanged, SettingRemoved } from "./events.ts";
import type { SettingRow } from "./state.ts";
import { thresholdOf, type Threshold } from "./thresholds.ts";

/** Rows live in memory on every member. */
export const settingsMax = 100_000;

type SetSetting = Command & { readonly value: unknown; readonly description?: string | undefined };

export function decideSet(world: World, command: SetSetting): Decision {
  const { id, value } = command;
  const before = world.get<SettingRow>("setting", id)?.row;
  const threshold = thresholdOf(id);
  if (threshold !== undefined) {
    const refused = checkThreshold(world, threshold, value);
    if (refused !== null) return refused;
  }
  if (before === undefined && world.count("setting") >= settingsMax) {
    return tooMany(`setting ${id}: there are ${settingsMax} settings already`);
  }
  const description = command.description ?? before?.description ?? threshold?.description ?? "";
  if (before !== undefined && before.description === description && jsonEqual(before.value, value)) return { events: [] };
  return { events: [SettingChanged.of(id, { value, description })] };
}

export function decideRemove(world: World, { id }: Command): Decision {
  if (world.get("setting", id) === undefined) {
    return reject("not_found", `there is no setting ${id}`, "aether settings list shows those there are");
  }
  const threshold = thresholdOf(id);
  const refused = threshold === undefined ? null : checkThreshold(world, threshold, threshold.default);
  return refused ?? { events: [SettingRemoved.of(id, {})] };
}

export const tooMany = (message: string): Rejection => reject("too_many", message, "remove some that nothing reads");

export function checkThreshold(world: World, threshold: Threshold, value: unknown): Rejection | null {
  const { key, partner, level } = threshold;
  if (typeof value !== "number" || value < 0 || value > 1) {
    return reject("invalid", `${key} is a share: a number from 0 to 1 is expected`, `for example ${threshold.default}`);
  }
  const other = effectiveThreshold(world, partner);
  const [warning, critical] = level === "warning" ? [value, other] : [other, value];
  if (warning < critical) return null;
  const limit = level === "warning" ? "below" : "above";
  return reject(
    "conflict",
    `${key} = ${value} would not be ${limit} ${partner} = ${other}: a warning must come before its critical`,
    `choose a value ${limit} ${other}, or change ${partner} first`,
  );
}

/** What a known threshold is now: the setting, or its default while there is none. */
export function effectiveThreshold(world: World, key: string): number {
  const value = world.get<SettingRow>("setting", key)?.row.value;
  const fallback = thresholdOf(key)?.default;
  if (fallback === undefined) throw new Error(`${key} is no known threshold`);
  return typeof value === "number" ? value : fallback;
}
