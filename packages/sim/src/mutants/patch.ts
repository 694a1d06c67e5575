/**
 * A mutant: the product with one line wrong, kept as a unified diff with a few lines of heading. It is applied by its text, not
 * by its line numbers, so that it outlives changes elsewhere in the file.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface Mutant {
  readonly name: string;
  /** The rule that it breaks, in words. */
  readonly breaks: string;
  /** Why the simulator is not expected to notice, or null when it has to. */
  readonly notCaughtBecause: string | null;
  /** Path from the repository's root. */
  readonly file: string;
  /** Lines as they are, context included, and as the mutant has them. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/** Lines that one mutant may take away or put in. */
const changedLinesMax = 3;

/** Throws an Error that says what is wrong with the patch of that name. */
export function parseMutant(name: string, text: string): Mutant {
  const wrong = (what: string): Error => new Error(`the mutant ${name}: ${what}`);
  const lines = text.replace(/\n$/, "").split("\n");
  const start = lines.findIndex((line) => line.startsWith("--- a/"));
  const heading = new Map<string, string>();
  for (const line of lines.slice(0, Math.max(start, 0))) {
    const [, key = "", value = ""] = /^([a-z-]+): (.+)$/.exec(line) ?? [];
    if (!["name", "breaks", "not-caught-because"].includes(key)) throw wrong(`its heading has the line "${line}"`);
    heading.set(key, value);
  }
  const file = lines[start]?.slice("--- a/".length) ?? "";
  if (start < 0 || lines[start + 1] !== `+++ b/${file}`) throw wrong("it is no unified diff of one file");
  const hunk = lines.slice(start + 3);
  if (lines[start + 2]?.startsWith("@@ ") !== true || hunk.some((line) => !/^[ +-]/.test(line)))
    throw wrong("it has not one hunk");
  const with_ = (signs: string): string[] => hunk.filter((line) => signs.includes(line.charAt(0))).map((line) => line.slice(1));
  const changed = Math.max(with_("-").length, with_("+").length);
  if (changed < 1 || changed > changedLinesMax) throw wrong(`it changes ${changed} lines, not 1 to ${changedLinesMax}`);
  const breaks = heading.get("breaks");
  if (heading.get("name") !== name || breaks === undefined) throw wrong("its heading does not give its name and what it breaks");
  const notCaughtBecause = heading.get("not-caught-because") ?? null;
  return { name, breaks, notCaughtBecause, file, before: with_(" -"), after: with_(" +") };
}

/** The source with the fault in it. Throws an Error unless the place is found exactly once. */
export function mutate(mutant: Mutant, source: string): string {
  const before = `\n${mutant.before.join("\n")}\n`;
  const [head, tail, more] = `\n${source}`.split(before);
  if (head === undefined || tail === undefined || more !== undefined) {
    const places = tail === undefined ? "is not in" : "is more than once in";
    throw new Error(`the mutant ${mutant.name} does not apply: its place ${places} ${mutant.file}`);
  }
  return `${head}\n${mutant.after.join("\n")}\n${tail}`.slice(1);
}

/** All patches of a folder, by name. */
export function readMutants(folder: string): Mutant[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".patch"));
  return files.toSorted().map((file) => parseMutant(basename(file, ".patch"), readFileSync(join(folder, file), "utf8")));
}
