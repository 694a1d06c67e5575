/** What happens to settings. */
import { defineEvent } from "../kernel/define.ts";
import { Json, text } from "../kernel/fields.ts";

export const descriptionCharsMax = 512;

/** The setting has this value from now on, whether it existed before or not. */
export const SettingChanged = defineEvent({
  type: "SettingChanged",
  v: 1,
  level: 1,
  fields: { value: Json, description: text(descriptionCharsMax) },
});

export const SettingRemoved = defineEvent({ type: "SettingRemoved", v: 1, level: 1, fields: {} });
