/**
 * Tables of docs/trust.md that programs make. A block stands between `<!-- NAME begins: made by COMMAND -->` and
 * `<!-- NAME ends -->`; whoever runs the command rewrites what is between, and nothing else of the page.
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

export const trustPage = join(import.meta.dirname, "../../../docs/trust.md");

interface Place {
  /** Where the text between the markers begins and ends. */
  readonly from: number;
  readonly to: number;
  /** Where the first marker begins. */
  readonly marker: number;
}

/** The page with `text` in the block `name`, which says that `command` made it. Throws when the page has no such block. */
export function withBlock(page: string, name: string, command: string, text: string): string {
  const { marker, to } = placeOf(page, name);
  return `${page.slice(0, marker)}<!-- ${name} begins: made by ${command} -->\n${text.trim()}\n${page.slice(to)}`;
}

/** What stands in the block `name`. Throws when the page has no such block. */
export function blockOf(page: string, name: string): string {
  const { from, to } = placeOf(page, name);
  return page.slice(from, to).trim();
}

/** Rewrites one block of a page on disk, wholly or not at all. Rejects when the page has no such block. */
export async function writeBlock(name: string, command: string, text: string, path = trustPage): Promise<void> {
  const page = withBlock(await readFile(path, "utf8"), name, command, text);
  const beside = `${path}.${process.pid}`;
  await writeFile(beside, page);
  await rename(beside, path);
}

/** A table in Markdown; columns of numbers are set to the right. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const numeric = head.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const cell = (value: string | number): string => (typeof value === "number" ? value.toLocaleString("en") : value);
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  const rule = `|${numeric.map((right) => (right ? "---:" : "---")).join("|")}|`;
  return [line(head), rule, ...rows.map((row) => line(row.map(cell)))].join("\n");
}

function placeOf(page: string, name: string): Place {
  const begin = new RegExp(`^<!-- ${name} begins: made by .* -->\\n`, "m").exec(page);
  const end = `<!-- ${name} ends -->`;
  const from = begin === null ? -1 : begin.index + begin[0].length;
  const to = page.indexOf(end, Math.max(0, from));
  if (begin === null || to < 0) throw new Error(`the page has no block ${name}`);
  return { marker: begin.index, from, to };
}
