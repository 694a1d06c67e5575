/** What can be asked of settings. */
import * as Schema from "effect/Schema";
import { defineCommand } from "../kernel/define.ts";
import { Json, SettingKey, text } from "../kernel/fields.ts";
import { decideRemove, decideSet } from "./decide.ts";
import { descriptionCharsMax } from "./events.ts";

/** Refused: `invalid` (a known threshold's value), `conflict` (warning not below critical), `too_many` settings. */
const SetSetting = defineCommand({
  type: "SetSetting",
  roles: ["operator"],
  id: SettingKey,
  fields: { value: Json, description: Schema.optional(text(descriptionCharsMax)) },
  decide: decideSet,
});

/** Refused: `not_found`, `conflict` (the default that then counts does not fit its partner). */
const RemoveSetting = defineCommand({
  type: "RemoveSetting",
  roles: ["operator"],
  id: SettingKey,
  fields: {},
  decide: decideRemove,
});

export const settingCommands = [SetSetting, RemoveSetting];
