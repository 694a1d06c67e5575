/** The command line of the bench: which parts, and how much of each. */
import { parseArgs } from "node:util";

export interface BenchOptions {
  /** A look: small numbers, nothing that a conclusion could stand on. */
  readonly quick: boolean;
  readonly rounds: number;
  /** Of each measurement. */
  readonly seconds: number;
  readonly inFlight: readonly number[];
  /** Of the leader, per side. */
  readonly kills: number;
  /** Of a member, per side. */
  readonly restarts: number;
  /** Behind which restart and memory are measured, over `rows` rows. */
  readonly events: number;
  readonly rows: number;
  /** Growth goes up to so many entries, and to so many rows. */
  readonly entriesMost: number;
  readonly rowsMost: number;
  /** Of constant load, for the heap's guard. */
  readonly minutes: number;
  readonly etcd: boolean;
  /** Bundled daemons that are compared; the first is the one that single-cluster parts use. */
  readonly builds: readonly { readonly name: string; readonly program: string }[];
  /** Folder of the results. */
  readonly out: string;
}

export interface Request {
  readonly parts: readonly string[];
  readonly help: boolean;
  readonly options: BenchOptions;
}

export type Parsed = { readonly ok: true; readonly request: Request } | { readonly ok: false; readonly why: string };

export interface Defaults {
  /** The daemon that `npm run build` makes. */
  readonly program: string;
  readonly results: string;
  /** Where results go that the page must not show: of --quick and of --build. */
  readonly scratch: string;
}

const numbers = {
  rounds: { full: 5, quick: 2, about: "rounds; both systems alternate in each" },
  seconds: { full: 2, quick: 1, about: "seconds of each measurement" },
  kills: { full: 15, quick: 2, about: "kills of the leader, per system" },
  restarts: { full: 5, quick: 2, about: "restarts of a member, per system" },
  events: { full: 1_000_000, quick: 20_000, about: "events behind restart and memory" },
  rows: { full: 100_000, quick: 2_000, about: "rows that those events are over" },
  "entries-most": { full: 5_000_000, quick: 40_000, about: "entries that growth goes up to" },
  "rows-most": { full: 1_000_000, quick: 20_000, about: "rows that growth and snapshot go up to" },
  minutes: { full: 3, quick: 0.5, about: "minutes of constant load for the heap's guard" },
} as const;
type NumberName = keyof typeof numbers;

const points = { full: [1, 16, 64, 256, 1000], quick: [1, 64, 256] };

/** One line per option, for --help. */
export const optionLines: readonly string[] = [
  "--quick                a look with small numbers, for a machine that is busy or a reader in a hurry",
  ...Object.entries(numbers).map(
    ([name, { full, quick, about }]) => `${`--${name} N`.padEnd(22)} ${about} (${full}; quick: ${quick})`,
  ),
  `--in-flight LIST       requests in flight (${points.full.join(",")}; quick: ${points.quick.join(",")})`,
  "--no-etcd              Aether alone",
  "--build NAME=FILE      a bundled aetherd instead of packages/node/dist/aetherd.js; several for commits and reads",
  "--out FOLDER           where results go (bench/results; of --quick and --build: bench/.work/results)",
];

export function parseBench(args: readonly string[], defaults: Defaults): Parsed {
  const text = { type: "string" } as const;
  let given;
  try {
    given = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        ...(Object.fromEntries(Object.keys(numbers).map((name) => [name, text])) as Record<NumberName, typeof text>),
        quick: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
        "no-etcd": { type: "boolean", default: false },
        "in-flight": text,
        build: { type: "string", multiple: true, default: [] },
        out: text,
      },
    });
  } catch (error) {
    return { ok: false, why: error instanceof Error ? error.message : String(error) };
  }
  const { values, positionals: parts } = given;
  const { quick, help } = values;
  const size = quick ? "quick" : "full";
  const wrong: string[] = [];
  const number = (name: NumberName): number => {
    const value = values[name] === undefined ? numbers[name][size] : Number(values[name]);
    if (!(value > 0) || (name !== "minutes" && name !== "seconds" && !Number.isInteger(value))) wrong.push(`--${name}`);
    return value;
  };
  const inFlight = values["in-flight"]?.split(",").map(Number) ?? points[size];
  if (inFlight.some((k) => !Number.isInteger(k) || k < 1 || k > 4_096)) wrong.push("--in-flight");
  const builds = values.build.map((build) => {
    const [, name, program] = /^([^=]+)=(.+)$/.exec(build) ?? [];
    if (name === undefined || program === undefined) wrong.push("--build");
    return { name: name ?? "", program: program ?? "" };
  });
  const options: BenchOptions = {
    quick,
    rounds: number("rounds"),
    seconds: number("seconds"),
    inFlight,
    kills: number("kills"),
    restarts: number("restarts"),
    events: number("events"),
    rows: number("rows"),
    entriesMost: number("entries-most"),
    rowsMost: number("rows-most"),
    minutes: number("minutes"),
    etcd: !values["no-etcd"],
    builds: builds.length > 0 ? builds : [{ name: "aether", program: defaults.program }],
    out: values.out ?? (quick || builds.length > 0 ? defaults.scratch : defaults.results),
  };
  if (wrong.length > 0) return { ok: false, why: `not a fit value of ${[...new Set(wrong)].join(", ")}` };
  return { ok: true, request: { parts, help, options } };
}
