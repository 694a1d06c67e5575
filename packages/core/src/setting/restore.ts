/** A setting as a backup brings it back. */
import type { Rejection } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import { checkThreshold, settingsMax, tooMany } from "./decide.ts";
import { jsonBytesMax } from "../kernel/fields.ts";
import { jsonFault } from "../kernel/json.ts";
import { descriptionCharsMax, SettingChanged, SettingRemoved } from "./events.ts";
import type { SettingRow } from "./state.ts";
import { thresholds } from "./thresholds.ts";

/** The rules of `SetSetting`, over all that a restore changes at once. */
export function checkSettings(_before: World, after: World, changed: ReadonlySet<string>): Rejection | null {
  const count = after.count("setting");
  if (count > settingsMax) return tooMany(`${count} settings are more than the ${settingsMax} that there may be`);
  for (const threshold of thresholds) {
    if (!changed.has(threshold.key)) continue;
    const stored = after.get<SettingRow>("setting", threshold.key);
    const refused = checkThreshold(after, threshold, stored === undefined ? threshold.default : stored.row.value);
    if (refused !== null) return refused;
  }
  return null;
}

export function restoreSetting(id: string, _now: SettingRow | undefined, wanted: unknown): readonly DomainEvent[] | string {
  if (wanted === undefined) return [SettingRemoved.of(id, {})];
  const { value, description, ...more } = (wanted ?? {}) as Partial<SettingRow>;
  if (Object.keys(more).length > 0) return "the backup says more of it than this version knows";
  if (typeof description !== "string" || description.length > descriptionCharsMax)
    return `the backup's value cannot be set: its description is no text of at most ${descriptionCharsMax} characters`;
  const fault = jsonFault(value, jsonBytesMax);
  return fault === null
    ? [SettingChanged.of(id, { value, description })]
    : `the backup's value cannot be set: it is not ${fault}`;
}
