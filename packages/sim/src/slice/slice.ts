/** The part of the soak that every test run lives: fixed seeds, in files of their own so that all cores work at them. */
import { live, type LifeReport } from "../life.ts";
import { commandFor } from "../shrink.ts";
import { sumOf } from "../soak/record.ts";

/** Seeds of a test: few enough that its time limit never counts, many enough that the report stays short. */
export const seedsPerTest = 25;
/** A test of 25 lives takes some 3 s on a quiet machine. */
export const testLimitMs = 300_000;

/** First seeds of the tests of one of the slice's files. */
export const startsOf = (from: number, tests: number): number[] =>
  Array.from({ length: tests }, (_, i) => from + i * seedsPerTest);

/** Lives the seeds from `from` on. Returns what is broken, each with the command that lives it again, and what was counted. */
export async function liveSome(
  from: number,
): Promise<{ readonly broken: readonly string[]; readonly counts: Record<string, number> }> {
  const reports: LifeReport[] = [];
  for (let seed = from; seed < from + seedsPerTest; seed++) reports.push(await live({ seed }));
  const broken = reports.flatMap(({ seed, violation }) =>
    violation === null ? [] : [`${violation.message}\n${commandFor({ seed })}`],
  );
  return { broken, counts: sumOf(reports.map(({ counts }) => counts)) };
}
