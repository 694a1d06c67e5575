/** The noun `setting`; ids are keys. */
import type { Noun } from "../kernel/noun.ts";
import { settingCommands } from "./commands.ts";
import { SettingChanged, SettingRemoved } from "./events.ts";
import { checkSettings, restoreSetting } from "./restore.ts";
import { evolveSetting, type SettingRow } from "./state.ts";

export const setting: Noun<SettingRow> = {
  name: "setting",
  events: [SettingChanged, SettingRemoved],
  commands: settingCommands,
  evolve: evolveSetting,
  backup: {
    folder: "settings",
    v: 1,
    upcast: {},
    wanted: ({ value, description }) => ({ value, description }),
    row: (wanted) => {
      const { value, description } = wanted as SettingRow;
      return { value, description };
    },
    restore: restoreSetting,
    check: checkSettings,
  },
};
