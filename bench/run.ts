/**
 * `npm run bench [-- PART… OPTIONS]`: measures, saves one JSON file per part, and prints the tables. Without a part all of
 * them. `npm run bench -- --help` says what there is. Nothing here is run by the tests.
 */
import { join, relative } from "node:path";
import { machineLine, commitLine } from "./machine.ts";
import { optionLines, parseBench, type Request } from "./options.ts";
import { defaultPage, partBlock, readMeasured, targetsBlock, writePage } from "./page.ts";
import { parts, type Part } from "./parts.ts";
import { loadResult, saveResult } from "./results.ts";
import { say, Stage, type Scene } from "./stage.ts";

const root = join(import.meta.dirname, "..");
const defaults = {
  program: join(root, "packages/node/dist/aetherd.js"),
  results: join(root, "bench/results"),
  scratch: join(root, "bench/.work/results"),
};
/** Programs of their own: they run without a cluster, and a reader of their numbers wants no table. */
const separate: Readonly<Record<string, string>> = {
  apply: "./apply.ts",
  log: "./log-storage.ts",
  driver: "./raft-driver.ts",
};

const minutesOf = (part: Part, quick: boolean): number => (quick ? part.quickMinutes : part.minutes);

function help(): string {
  const row = (name: string, minutes: string, about: string): string => `  ${name.padEnd(10)} ${minutes.padStart(8)}  ${about}`;
  return [
    "npm run bench [-- PART… OPTIONS]   measures Aether beside etcd 3.4 on this machine",
    "",
    "Parts (all, when none is named), and about how long each takes:",
    ...parts.map(({ name, minutes, about }) => row(name, `${minutes} min`, about)),
    row("page", "", "writes docs/speed.md and the curves from the results of the parts"),
    ...Object.keys(separate).map((name) => row(name, "", `runs bench/${separate[name]?.slice(2)}`)),
    "",
    "Options:",
    ...optionLines.map((line) => `  ${line}`),
  ].join("\n");
}

async function main(args: readonly string[]): Promise<number> {
  const parsed = parseBench(args, defaults);
  if (!parsed.ok) return usage(parsed.why);
  const { request } = parsed;
  if (request.help) {
    console.log(help());
    return 0;
  }
  const [first] = request.parts;
  const program = first === undefined ? undefined : separate[first];
  if (program !== undefined) {
    await import(program);
    return 0;
  }
  if (first === "page") {
    writePage(defaultPage, request.options.out);
    return 0;
  }
  const unknown = request.parts.filter((name) => !parts.some((part) => part.name === name));
  if (unknown.length > 0) return usage(`there is no part called ${unknown.join(", ")}`);
  return measure(request, args);
}

function usage(why: string): number {
  console.error(`error: ${why}\nhint: npm run bench -- --help`);
  return 2;
}

async function measure({ parts: asked, options }: Request, args: readonly string[]): Promise<number> {
  const wanted = parts.filter(({ name }) => asked.length === 0 || asked.includes(name));
  const minutes = wanted.reduce((total, part) => total + minutesOf(part, options.quick), 0);
  const stage = new Stage(options);
  say(`${wanted.map(({ name }) => name).join(", ")}: about ${Math.ceil(minutes)} minutes. Results go to ${options.out}`);
  const interrupted = (): void => void stage.dispose().finally(() => process.exit(130));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);
  const failed: string[] = [];
  try {
    for (const [at, part] of wanted.entries()) {
      if (!(await attempted(stage, part, args))) failed.push(part.name);
      await stage.keepOnly(new Set(wanted.slice(at + 1).flatMap(({ scene }) => scene ?? ([] as Scene[]))));
    }
  } finally {
    await stage.dispose();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, interrupted);
  }
  if (asked.length === 0) console.log(`\n## Targets\n\n${targetsBlock(readMeasured(options.out))}`);
  if (failed.length > 0) console.error(`error: not measured: ${failed.join(", ")}\nhint: each can be run again by itself`);
  const guards = wanted.some(({ name }) => name === "guards") ? loadResult(options.out, "guards") : undefined;
  return guards?.data.guards.every(({ holds }) => holds) === false || failed.length > 0 ? 1 : 0;
}

/** A part that fails takes its clusters with it, and the others go on with clusters of their own. */
async function attempted(stage: Stage, part: Part, args: readonly string[]): Promise<boolean> {
  try {
    await measurePart(stage, part, args);
    return true;
  } catch (cause) {
    console.error(cause);
    await stage.dispose();
    return false;
  }
}

async function measurePart(stage: Stage, part: Part, args: readonly string[]): Promise<void> {
  const { options } = stage;
  const machine = machineLine();
  say(`\n${part.name}: ${part.about}; about ${minutesOf(part, options.quick)} minutes`);
  const began = performance.now();
  const data = await part.measure(stage);
  const saved = {
    part: part.name,
    when: new Date().toISOString(),
    machine,
    commit: commitLine(),
    command: ["npm run bench --", part.name, ...args.filter((arg) => !parts.some(({ name }) => name === arg))].join(" "),
    quick: options.quick,
    tookSeconds: (performance.now() - began) / 1_000,
    data,
  };
  const file = saveResult(options.out, saved);
  console.log(`\n## ${part.name}\n\n${partBlock(part.name, saved)}`);
  say(`saved ${relative(".", file)}`);
}

process.exitCode = await main(process.argv.slice(2));
