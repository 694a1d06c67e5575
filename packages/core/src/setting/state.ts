/** A setting: a key with any JSON value. Its version, index and time are the store's to keep. */
import type { DomainEvent } from "../kernel/event.ts";

export interface SettingRow {
  readonly value: unknown;
  readonly description: string;
}

/** Hot: one of these per write of every client. */
export function evolveSetting(_row: SettingRow | undefined, event: DomainEvent): SettingRow | undefined {
  if (event.type === "SettingChanged") {
    return { value: event["value"], description: event["description"] as string };
  }
  if (event.type === "SettingRemoved") return undefined;
  throw new Error(`setting has no event ${event.type}`);
}
