/** Entries for people: one line for each event, and one for an entry of consensus, which has none. */
import type { EntryAnswer } from "../context/api.ts";
import { printable } from "../shell/printable.ts";
import type { Paint } from "../shell/shell.ts";

const fieldsMax = 160;

/**
 * "    12  2026-11-21 12:01:07  operator:operator   SettingChanged cpu_warning  value=0.75", with a line feed after each line. With
 * `thing` ("node/n2") only the events about it, where the entry's events name it.
 */
export function renderEntry(entry: EntryAnswer, paint: Paint, thing?: string): string {
  const when = entry.at === 0 ? "-".padEnd(19) : new Date(entry.at).toISOString().slice(0, 19).replace("T", " ");
  const head = `${String(entry.index).padStart(7)}  ${paint("dim", when)}  ${entry.actor.padEnd(18)}  `;
  if (entry.events.length === 0) return `${head}${paint("dim", printable(entry.cause))}\n`;
  const about = entry.events.filter((event) => thing === undefined || event.id === thing.slice(thing.indexOf("/") + 1));
  const shown = about.length === 0 ? entry.events : about;
  const indent = " ".repeat(7 + 2 + when.length + 2 + Math.max(18, entry.actor.length) + 2);
  return shown.map((event, at) => `${at === 0 ? head : indent}${renderEvent(event, paint)}\n`).join("");
}

function renderEvent(event: EntryAnswer["events"][number], paint: Paint): string {
  const { type, v: _version, id, ...fields } = event;
  const said = Object.entries(fields).filter(([, value]) => value !== "");
  const shown = said.map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const text = printable(shown.join(" "));
  const cut = text.length > fieldsMax ? `${text.slice(0, fieldsMax)}…` : text;
  return `${paint("bold", type)} ${id}${cut === "" ? "" : `  ${paint("dim", cut)}`}`;
}
