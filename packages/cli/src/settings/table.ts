import type { SettingAnswer } from "../context/api.ts";
import { printable } from "../shell/printable.ts";
import { renderTable } from "../shell/table.ts";
import { showValue } from "./value-text.ts";

const valueMax = 60;

/** Settings for people, sorted by key. */
export const settingsTable = (settings: readonly SettingAnswer[], wide: boolean): string =>
  renderTable(
    [
      { title: "KEY", cell: (setting) => setting.key },
      { title: "VALUE", cell: (setting) => shorten(printable(showValue(setting.value)), wide) },
      { title: "VERSION", cell: (setting) => String(setting.version), right: true },
      { title: "SINCE", cell: (setting) => `${new Date(setting.at).toISOString().slice(0, 19)}Z` },
      { title: "INDEX", cell: (setting) => String(setting.index), right: true, wide: true },
    ],
    settings.toSorted((a, b) => (a.key < b.key ? -1 : 1)),
    wide,
  );

const shorten = (text: string, wide: boolean): string => (wide || text.length <= valueMax ? text : `${text.slice(0, valueMax)}…`);
