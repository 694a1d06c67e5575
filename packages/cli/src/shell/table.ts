/** Aligned columns for people: upper-case headers, three spaces between, no lines. */
import { stripVTControlCharacters } from "node:util";

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => string;
  readonly right?: boolean;
  /** Only with -o wide. */
  readonly wide?: boolean;
}

/** The table with a line feed after each line. Colour codes in cells do not count as width. */
export function renderTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], wide = false): string {
  const shown = columns.filter((column) => wide || column.wide !== true);
  const lines = [shown.map((column) => column.title), ...rows.map((row) => shown.map((column) => column.cell(row)))];
  const widths = shown.map((_, at) => Math.max(...lines.map((line) => width(line[at] ?? ""))));
  const render = (line: readonly string[]): string =>
    line
      .map((cell, at) => {
        const fill = " ".repeat((widths[at] ?? 0) - width(cell));
        return shown[at]?.right === true ? fill + cell : cell + fill;
      })
      .join("   ")
      .trimEnd();
  return lines.map((line) => `${render(line)}\n`).join("");
}

/** What a terminal shows of a text: colour codes take no room. */
const width = (text: string): number => stripVTControlCharacters(text).length;

/** "3.2 s", "1m 05s": how long something took or is ago. */
export function humanDuration(ms: number): string {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${String(seconds % 60).padStart(2, "0")}s`;
  const hours = Math.floor(seconds / 3600);
  return hours < 48 ? `${hours}h ${String(Math.floor((seconds % 3600) / 60)).padStart(2, "0")}m` : `${Math.floor(hours / 24)}d`;
}
