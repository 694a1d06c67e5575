/**
 * `npm run soak -- --minutes M | --lives N`: life after life on all cores. The first that breaks a rule is made smaller, and
 * the command that lives it again is printed.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { live } from "./life.ts";
import { writeBlock } from "./page.ts";
import { commandFor, shrink } from "./shrink.ts";
import { commitOf, machineLine, putRecord, readRecords, soakPage, soakRecords } from "./soak/record.ts";
import { Soak } from "./soak/soak.ts";
import { runProgram } from "./program.ts";

const usage = `usage: npm run soak -- [--minutes M] [--lives N] [--from SEED] [--cores N] [--keep-going] [--record FILE]
       npm run soak -- --page
  --minutes M    how long
  --lives N      how many; with --minutes, whichever is reached first
  --from SEED    the first seed (default: from the time of day, so that every soak lives other lives)
  --cores N      lives at a time (default: all cores)
  --keep-going   do not end at the first broken life: list the seeds of all
  --record FILE  add what was lived to this file (packages/sim/results/soak.json is the one that docs/trust.md shows)
  --page         write the table of docs/trust.md from packages/sim/results/soak.json
exit code: 0 every life was sound, 1 one was not, 2 usage. Ctrl-C ends it in order.
`;
const tellMs = 30_000;
/** The record is renewed so often, for a soak may be ended from outside. */
const recordMs = 60_000;

type Options = ReturnType<typeof parse>;

function parse() {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = { minutes: text, lives: text, from: text, cores: text, record: text, "keep-going": flag, page: flag };
  const { values } = parseArgs({ options });
  const whole = (name: "lives" | "from" | "cores", least: number, most: number, otherwise: number): number => {
    const value = Number(values[name] ?? otherwise);
    if (value === otherwise || (Number.isSafeInteger(value) && value >= least && value <= most)) return value;
    throw new Error(`--${name} takes a whole number from ${least} to ${most}`);
  };
  const minutes = Number(values.minutes ?? Infinity);
  if (!(minutes > 0)) throw new Error("--minutes takes a number above 0");
  const lives = whole("lives", 1, 1e12, Infinity);
  if (minutes === Infinity && lives === Infinity && !values.page) throw new Error("say --minutes or --lives");
  return {
    page: values.page,
    minutes,
    lives,
    from: whole("from", 0, 1e15, Date.now()),
    cores: whole("cores", 1, 256, availableParallelism()),
    keepGoing: values["keep-going"],
    record: values.record,
  };
}

async function lived(options: Options): Promise<number> {
  const { record, ...rest } = options;
  const say = (text: string): boolean => process.stdout.write(`${text}\n`);
  const onBroken = ({ seed, message }: { readonly seed: number; readonly message: string }): void => {
    say(`BROKEN seed ${seed}: ${message}\nlive it again: ${commandFor({ seed })}`);
  };
  const soak = new Soak({ ...rest, onBroken });
  const facts = { commit: commitOf(import.meta.dirname), machine: machineLine() };
  say(`from seed ${options.from}, ${options.cores} at a time, commit ${facts.commit}`);
  const write = (): Promise<void> => (record === undefined ? Promise.resolve() : putRecord(soak.record(facts), record));
  let writing = Promise.resolve();
  const telling = setInterval(() => say(soak.progress()), tellMs);
  const keep = (): void => {
    writing = writing.then(write);
  };
  const keeping = setInterval(keep, recordMs);
  const end = (): void => soak.end();
  process.once("SIGINT", end).once("SIGTERM", end);
  await soak.run();
  process.off("SIGINT", end).off("SIGTERM", end);
  clearInterval(telling);
  clearInterval(keeping);
  await writing;
  await write();
  const { counts } = soak.record(facts);
  say(
    Object.entries(counts)
      .map(([name, count]) => `${name.padEnd(24)} ${count}`)
      .join("\n"),
  );
  say(soak.progress());
  const [first] = soak.broken;
  if (first === undefined) {
    say("every life was sound");
    return 0;
  }
  if (!options.keepGoing) await tellSmaller(first.seed, say);
  return 1;
}

async function tellSmaller(seed: number, say: (text: string) => void): Promise<void> {
  say("making it smaller …");
  const broken = await live({ seed });
  if (broken.violation === null) return say("lived again it is sound: the simulator itself is at fault");
  const least = await shrink({ seed }, broken, live);
  say(`${least.report.violation?.message}\nlive it again: ${commandFor(least.options)}`);
}

async function main(options: Options): Promise<number> {
  if (!options.page) return lived(options);
  await writeBlock("soak", "npm run soak -- --page", soakPage(await readRecords(soakRecords)));
  return 0;
}

await runProgram(usage, parse, main);
