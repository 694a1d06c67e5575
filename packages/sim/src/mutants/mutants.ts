/**
 * `npm run mutants`: puts one fault at a time into a copy of the product and lives seeds until the simulator notices. Exit code 0
 * only if it notices every fault that its patch does not excuse.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Copy, makeCopy, mutantsFolder, root } from "./copy.ts";
import { type Mutant, mutate, readMutants } from "./patch.ts";
import { asExpected, merged, readRecord, type Result, resultOf, seedsMax, writeRecord } from "./record.ts";
import { livesOf, type Outcome, upTo } from "./trial.ts";
import { runProgram } from "../program.ts";

const usage = `usage: npm run mutants -- [--only NAME,NAME] [--seeds N] [--cores N] [--record] [--page] [--list]
  --only NAMES   only these mutants
  --seeds N      seeds lived at most on each (default 2000)
  --cores N      mutants at a time (default: all cores)
  --record       keep the results in packages/sim/results/mutants.json and show them in docs/trust.md
  --page         show what is recorded in docs/trust.md and end
  --list         print what there is and end
exit code: 0 every mutant was caught or is excused, 1 one was not, 2 usage
`;

interface Options {
  readonly mutants: readonly Mutant[];
  readonly all: readonly Mutant[];
  readonly seeds: number;
  readonly cores: number;
  readonly record: boolean;
  readonly page: boolean;
  readonly list: boolean;
}

function parse(): Options {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({ options: { only: text, seeds: text, cores: text, record: flag, page: flag, list: flag } });
  const all = readMutants(mutantsFolder);
  const only = values.only?.split(",") ?? all.map(({ name }) => name);
  for (const name of only) if (!all.some((mutant) => mutant.name === name)) throw new Error(`no mutant is called ${name}`);
  const seeds = Number(values.seeds ?? seedsMax);
  const cores = Number(values.cores ?? availableParallelism());
  if (!Number.isSafeInteger(seeds) || seeds < 1) throw new Error("--seeds takes a whole number from 1 on");
  if (!Number.isSafeInteger(cores) || cores < 1 || cores > 256) throw new Error("--cores takes a whole number from 1 to 256");
  const mutants = all.filter(({ name }) => only.includes(name));
  return { all, mutants, seeds, cores, record: values.record, page: values.page, list: values.list };
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Tries the mutants, `cores` at a time, each worker in a copy of its own. */
async function tryAll({ mutants, all, seeds, cores, record }: Options): Promise<Result[]> {
  const build = execFileSync("git", ["describe", "--always", "--dirty"], { cwd: root, encoding: "utf8" }).trim();
  const waiting = [...mutants];
  const results: Result[] = [];
  const isSound = soundWithoutFault();
  const work = async (copy: Copy): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const began = performance.now();
      const outcome = await tryOne(copy, mutant, upTo(seeds), isSound);
      const result = resultOf(mutant, outcome, build, (performance.now() - began) / 1000);
      results.push(result);
      // Each as it comes, so that a run that is cut off has not been for nothing.
      if (record) await writeRecord(merged(readRecord(), [result], all));
      say(`${String(results.length).padStart(3)}/${mutants.length}  ${lineOf(result)}`);
    }
  };
  const copies = Array.from({ length: Math.min(cores, mutants.length) }, makeCopy);
  try {
    await Promise.all(copies.map(work));
  } finally {
    for (const copy of copies) copy.remove();
  }
  return results;
}

/** Lives the seeds on one mutant. One that is no sounder without the fault has noticed nothing: the next ones are lived. */
async function tryOne(copy: Copy, mutant: Mutant, seeds: readonly number[], isSound: SoundWithoutFault): Promise<Outcome> {
  let left = seeds;
  while (left.length > 0) {
    copy.put(mutant);
    const outcome = await livesOf(copy.program, left);
    copy.takeOut();
    if (outcome.how === "sound") break;
    if (outcome.how !== "caught" || (await isSound(copy, outcome.seed))) return outcome;
    left = left.slice(left.indexOf(outcome.seed) + 1);
  }
  return { how: "sound", seeds: seeds.length };
}

type SoundWithoutFault = (copy: Copy, seed: number) => Promise<boolean>;

/** Lives a seed on a copy without a fault, once for all mutants that it may have noticed. */
function soundWithoutFault(): SoundWithoutFault {
  const known = new Map<number, Promise<Outcome>>();
  return async (copy, seed) => {
    const outcome = known.get(seed) ?? livesOf(copy.program, [seed]);
    known.set(seed, outcome);
    const { how } = await outcome;
    if (how !== "sound") say(`seed ${seed} is broken without a fault as well: it counts for no mutant`);
    return how === "sound";
  };
}

function lineOf({ name, how, seed, rule, lives, seconds, message, notCaughtBecause }: Result): string {
  const time = `${seconds} s`.padStart(6);
  const title = name.padEnd(44);
  if (how === "caught") {
    const excuse = notCaughtBecause === null ? "" : " (its patch says that it is not)";
    return `${time}  ${title} caught by seed ${seed}: ${rule}${excuse}`;
  }
  if (how === "sound" && notCaughtBecause !== null) return `${time}  ${title} not caught in ${lives} lives: ${notCaughtBecause}`;
  return `${time}  ${title} ${how.toUpperCase()} after ${lives} lives ${message.split("\n", 1)[0]}`;
}

/** The first words of every mutant's trial: all patches apply, and the product without them is sound. */
async function prepare({ mutants }: Options): Promise<string | null> {
  for (const mutant of mutants) mutate(mutant, readFileSync(join(root, mutant.file), "utf8"));
  const copy = makeCopy();
  try {
    const outcome = await livesOf(copy.program, upTo(4));
    return outcome.how === "sound" ? null : `without any fault: ${JSON.stringify(outcome)}`;
  } finally {
    copy.remove();
  }
}

async function main(options: Options): Promise<number> {
  if (options.list) {
    for (const { name, breaks, file } of options.mutants) say(`${name.padEnd(44)} ${breaks} (${file})`);
    return 0;
  }
  if (options.page) {
    await writeRecord(merged(readRecord(), [], options.all));
    return 0;
  }
  const wrong = await prepare(options);
  if (wrong !== null) {
    process.stderr.write(`${wrong}\n`);
    return 1;
  }
  const results = await tryAll(options);
  const caught = results.filter(({ how }) => how === "caught").length;
  const other = results.filter((result) => !asExpected(result));
  say(
    `${results.length} mutants, ${caught} caught, ${results.length - caught - other.length} excused, ${other.length} otherwise`,
  );
  for (const result of other) say(`  ${lineOf(result)}`);
  if (options.record) await writeRecord(merged(readRecord(), results, options.all));
  return other.length === 0 ? 0 : 1;
}

await runProgram(usage, parse, main);
