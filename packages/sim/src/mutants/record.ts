/** What came of each mutant, kept in packages/sim/results/mutants.json and shown in docs/trust.md. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { table, writeBlock } from "../page.ts";
import { root } from "./copy.ts";
import type { Mutant } from "./patch.ts";
import type { Outcome } from "./trial.ts";

export const recordFile = join(root, "packages/sim/results/mutants.json");
const command = "npm run mutants -- --record";

/** Seeds within which each mutant has to be caught. */
export const seedsMax = 2_000;

export interface Result {
  readonly name: string;
  readonly breaks: string;
  readonly file: string;
  readonly how: Outcome["how"];
  /** A seed that noticed, the first unless a later one was known from an earlier run; null when none did. */
  readonly seed: number | null;
  /** Lives lived on the mutant. */
  readonly lives: number;
  /** The simulator's rule, or the product's own assertion, that was broken. */
  readonly rule: string | null;
  readonly message: string;
  readonly notCaughtBecause: string | null;
  readonly seconds: number;
  /** Commit of the sources that the fault was put into. */
  readonly build: string;
}

export interface Trial {
  readonly outcome: Outcome;
  /** Seeds that were lived, the last one included. */
  readonly lives: number;
}

export function resultOf(mutant: Mutant, { outcome, lives }: Trial, build: string, seconds: number): Result {
  const { name, breaks, file, notCaughtBecause } = mutant;
  const caught = outcome.how === "caught";
  return {
    name,
    breaks,
    file,
    how: outcome.how,
    seed: caught ? outcome.seed : null,
    lives,
    rule: caught ? outcome.rule : null,
    message: "message" in outcome ? outcome.message : "",
    notCaughtBecause,
    seconds: Math.round(seconds),
    build,
  };
}

/** The seeds in their order, but for the one that has noticed before. One that is not among them is not added. */
export function knownFirst(seeds: readonly number[], known: number | null): readonly number[] {
  return known !== null && seeds.includes(known) ? [known, ...seeds.filter((seed) => seed !== known)] : seeds;
}

/** Is it as its patch says: caught, or explained and not caught? */
export const asExpected = ({ how, notCaughtBecause }: Result): boolean =>
  notCaughtBecause === null ? how === "caught" : how === "sound";

export function readRecord(path = recordFile): Result[] {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Result[]) : [];
}

/** Puts the results in the place of older ones of the same mutants; those of mutants that are no more go. */
export function merged(old: readonly Result[], results: readonly Result[], mutants: readonly Mutant[]): Result[] {
  const byName = new Map([...old, ...results].map((result) => [result.name, result]));
  return mutants.flatMap(({ name }) => byName.get(name) ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

export async function writeRecord(results: readonly Result[], path = recordFile): Promise<void> {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, `${JSON.stringify(results, null, 2)}\n`);
  renameSync(`${path}.new`, path);
  await writeBlock("mutants", command, pageOf(results));
}

/** The counts and the table, as they stand in docs/trust.md. */
export function pageOf(results: readonly Result[]): string {
  if (results.length === 0) return "No run is recorded yet.";
  const caught = results.filter(({ how }) => how === "caught");
  const within = (seeds: number): number => caught.filter(({ seed }) => (seed ?? 0) <= seeds).length;
  const builds = [...new Set(results.map(({ build }) => build))].join(", ");
  const counts =
    `${results.length} mutants, ${caught.length} caught: ${within(1)} by seed 1, ${within(10)} within 10 seeds, ` +
    `${within(100)} within 100, ${within(1_000)} within 1,000. The seeds are 1 to 2,000 for all, and the one that is named notices, ` +
    `mostly as the first; put into commit ${builds}. ` +
    "An assertion is one of the product's own, which end the process.";
  const rows = results.map(({ name, breaks, seed, rule, how, lives, notCaughtBecause }) => [
    `\`${name}\``,
    breaks,
    seed === null ? `${how === "sound" ? "not" : how} in ${lives}` : String(seed),
    rule ?? notCaughtBecause ?? (how === "sound" && lives < seedsMax ? "not lived to the end yet" : "**not explained**"),
  ]);
  return `${counts}\n\n${table(["mutant", "the rule it breaks", "seeds", "what noticed"], rows)}`;
}
