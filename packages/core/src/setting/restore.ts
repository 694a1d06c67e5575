/** A setting as a backup brings it back. */
import type { DomainEvent } from "../kernel/event.ts";
import { SettingChanged, SettingRemoved } from "./events.ts";
import type { SettingRow } from "./state.ts";

export function restoreSetting(id: string, _now: SettingRow | undefined, wanted: unknown): readonly DomainEvent[] | string {
  if (wanted === undefined) return [SettingRemoved.of(id, {})];
  const { value, description, ...more } = (wanted ?? {}) as Partial<SettingRow>;
  if (Object.keys(more).length > 0) return "the backup says more of it than this version knows";
  try {
    return [SettingChanged.parse({ type: "SettingChanged", v: SettingChanged.v, id, value, description })];
  } catch (error) {
    return `the backup's value cannot be set: ${(error as Error).message}`;
  }
}
