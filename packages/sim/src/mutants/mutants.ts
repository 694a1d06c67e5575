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
import {
  asExpected,
  knownFirst,
  merged,
  readRecord,
  type Result,
  resultOf,
  seedsMax,
  type Trial,
  writeRecord,
} from "./record.ts";
import { livesOf, type Outcome, upTo } from "./trial.ts";
import { drawPlan } from "../plan.ts";
import { runProgram } from "../program.ts";

const usage = `usage: npm run mutants -- [--only NAME,NAME] [--seeds N] [--moods NAME,NAME] [--cores N] [--record] [--page] [--list]
  --only NAMES   only these mutants
  --seeds N      the seeds 1 to N are lived on each (default 2000), up to the first that notices; one that has noticed
                 in the recorded run is tried first
  --moods NAMES  of these seeds only those whose lives dwell on such things (elections, slowDisks, overwrites, ...)
  --cores N      mutants at a time (default: all cores)
  --record       keep the results in packages/sim/results/mutants.json and show them in docs/trust.md
  --page         show what is recorded in docs/trust.md and end
  --list         print what there is and end
exit code: 0 every mutant was caught or is excused, 1 one was not, 2 usage
`;

interface Options {
  readonly mutants: readonly Mutant[];
  readonly all: readonly Mutant[];
  readonly seeds: readonly number[];
  readonly cores: number;
  readonly record: boolean;
  readonly page: boolean;
  readonly list: boolean;
}

function parse(): Options {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = { only: text, seeds: text, moods: text, cores: text, record: flag, page: flag, list: flag } as const;
  const { values } = parseArgs({ options });
  const all = readMutants(mutantsFolder);
  const only = values.only?.split(",") ?? all.map(({ name }) => name);
  for (const name of only) if (!all.some((mutant) => mutant.name === name)) throw new Error(`no mutant is called ${name}`);
  const last = Number(values.seeds ?? seedsMax);
  const cores = Number(values.cores ?? availableParallelism());
  if (!Number.isSafeInteger(last) || last < 1) throw new Error("--seeds takes a whole number from 1 on");
  if (!Number.isSafeInteger(cores) || cores < 1 || cores > 256) throw new Error("--cores takes a whole number from 1 to 256");
  const mutants = all.filter(({ name }) => only.includes(name));
  const moods = values.moods?.split(",");
  const seeds = upTo(last).filter((seed) => moods === undefined || moods.includes(drawPlan({ seed }).mood));
  if (seeds.length === 0) throw new Error(`no life up to seed ${last} dwells on ${values.moods}`);
  return { all, mutants, seeds, cores, record: values.record, page: values.page, list: values.list };
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** Tries the mutants, `cores` at a time, each worker in a copy of its own. */
async function tryAll({ mutants, all, seeds, cores, record }: Options): Promise<Result[]> {
  const build = buildOfSources();
  const noticed = new Map(readRecord().map(({ name, seed }) => [name, seed]));
  const waiting = [...mutants];
  const results: Result[] = [];
  const isSound = soundWithoutFault();
  let recorded = Promise.resolve();
  const work = async (copy: Copy): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const began = performance.now();
      const trial = await tryOne(copy, mutant, knownFirst(seeds, noticed.get(mutant.name) ?? null), isSound);
      const result = resultOf(mutant, trial, build, (performance.now() - began) / 1000);
      results.push(result);
      say(`${String(results.length).padStart(3)}/${mutants.length}  ${lineOf(result)}`);
      // Each as it comes, so that a run that is cut off has not been for nothing; and one after the other.
      if (record) recorded = recorded.then(() => writeRecord(merged(readRecord(), [result], all)));
      await recorded;
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

/** The commit that changed the sources last, "+" for more that is not committed; what runs leave behind is no source. */
function buildOfSources(): string {
  const sources = ["packages", ":!packages/sim/results"];
  const git = (...words: string[]): string => execFileSync("git", [...words, "--", ...sources], { cwd: root, encoding: "utf8" });
  return git("log", "-1", "--format=%h").trim() + (git("status", "--porcelain") === "" ? "" : "+");
}

/** Lives the seeds on one mutant. One that is no sounder without the fault has noticed nothing: the next ones are lived. */
async function tryOne(copy: Copy, mutant: Mutant, seeds: readonly number[], isSound: SoundWithoutFault): Promise<Trial> {
  for (let at = 0; at < seeds.length;) {
    copy.put(mutant);
    const outcome = await livesOf(copy.program, seeds.slice(at));
    copy.takeOut();
    if (outcome.how === "sound") break;
    if (outcome.how === "broken") return { outcome, lives: at };
    at = seeds.indexOf(outcome.seed) + 1;
    if (outcome.how === "hung" || (await isSound(copy, outcome.seed))) return { outcome, lives: at };
  }
  return { outcome: { how: "sound", seeds: seeds.length }, lives: seeds.length };
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
