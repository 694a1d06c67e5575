/** From words to an invocation. Flags may stand anywhere after the command's own words; `--` ends them. */
import { globalFlags, type CommandSpec, type Flag, type Group, type Invocation, type OutputFormat } from "./command.ts";
import { usage } from "./failure.ts";
import { suggest } from "./suggest.ts";

export type Parsed =
  | { readonly kind: "run"; readonly call: Invocation }
  /** Help was asked for; the path may be a command, a group or empty. */
  | { readonly kind: "help"; readonly path: readonly string[] };

type Value = string | number | true | readonly string[];

/** Throws a usage Failure that names what is wrong, what would be right and where to read on. */
export function parseCommandLine(words: readonly string[], commands: readonly CommandSpec[], groups: readonly Group[]): Parsed {
  const { path, rest, unknown, helpAsked } = findPath(meant(words), commands, groups);
  const command = commands.find((candidate) => samePath(candidate.path, path));
  if (command === undefined) {
    if (unknown === undefined && (helpAsked || (rest.length === 0 && path.length === 0))) return { kind: "help", path };
    throw missingCommand(path, unknown, commands, groups);
  }
  const { values, loose } = readFlags(rest, command);
  if (values.get("help") === true) return { kind: "help", path };
  return { kind: "run", call: makeInvocation(command, values, readArgs(command, loose)) };
}

/** What other tools have taught people to write: `--version`, and `help` before a command. */
function meant(words: readonly string[]): readonly string[] {
  const [first = "", ...rest] = words;
  if (words.length === 1 && ["--version", "-V"].includes(first)) return ["version"];
  return first === "help" ? [...rest.filter((word) => word !== "help" && !word.startsWith("-")), "--help"] : words;
}

const samePath = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((word, at) => word === b[at]);

/** The longest run of leading words that names a group or a command; global flags may stand before and between them. */
function findPath(words: readonly string[], commands: readonly CommandSpec[], groups: readonly Group[]) {
  const path: string[] = [];
  const rest: string[] = [];
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word.startsWith("-") && word !== "--") {
      const flag = findFlag(word, globalFlags);
      rest.push(word);
      if (flag !== undefined && flag.kind !== "switch" && !word.includes("=")) rest.push(...words.slice(++at, at + 1));
      continue;
    }
    const longer = [...path, word];
    const known = [...commands, ...groups].some(({ path: full }) => longer.every((part, place) => full[place] === part));
    if (!known) break;
    path.push(word);
    if (commands.some((command) => samePath(command.path, path))) {
      at++;
      break;
    }
  }
  rest.push(...words.slice(at));
  /** The word that names nothing below the path; where the path is a command, its first argument or flag. */
  const unknown = words[at];
  return { path, rest, unknown, helpAsked: rest.includes("--help") || rest.includes("-h") };
}

function missingCommand(
  path: readonly string[],
  word: string | undefined,
  commands: readonly CommandSpec[],
  groups: readonly Group[],
) {
  const prefix = ["aether", ...path].join(" ");
  const known = nextWords(path, commands, groups);
  if (word === undefined) return usage(`${prefix} needs a command: ${known.join(", ")}`, `see: ${prefix} --help`);
  const near = suggest(word, known);
  const hint = near === undefined ? `see: ${prefix} --help` : `did you mean: ${prefix} ${near}`;
  return usage(`${prefix} has no command ${JSON.stringify(word)}`, hint);
}

/** What may follow a path, in the order of the table. */
export function nextWords(
  path: readonly string[],
  commands: readonly CommandSpec[],
  groups: readonly Group[],
): readonly string[] {
  const below = [...groups, ...commands.filter((command) => command.hidden !== true)]
    .map(({ path: full }) => full)
    .filter((full) => full.length > path.length && path.every((word, at) => full[at] === word))
    .map((full) => full[path.length] ?? "");
  return [...new Set(below)];
}

function findFlag(word: string, flags: readonly Flag[]): Flag | undefined {
  const name = word.split("=", 1)[0] ?? "";
  return flags.find((flag) => name === `--${flag.name}` || (flag.short !== undefined && name === `-${flag.short}`));
}

function readFlags(words: readonly string[], command: CommandSpec) {
  const flags = [...command.flags, ...globalFlags];
  const values = new Map<string, Value>();
  const loose: string[] = [];
  const line = ["aether", ...command.path].join(" ");
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      loose.push(...words.slice(at + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-" || /^-\d/.test(word)) {
      loose.push(word);
      continue;
    }
    const flag = findFlag(word, flags);
    if (flag === undefined) throw unknownFlag(word, flags, line);
    if (values.has(flag.name) && flag.many !== true) throw usage(`--${flag.name} is given twice`, `see: ${line} --help`);
    const equals = word.indexOf("=");
    if (flag.kind === "switch") {
      if (equals >= 0) throw usage(`--${flag.name} takes no value`, `see: ${line} --help`);
      values.set(flag.name, true);
      continue;
    }
    const given = equals >= 0 ? word.slice(equals + 1) : words[++at];
    if (given === undefined)
      throw usage(`--${flag.name} needs a value: --${flag.name} ${flag.placeholder ?? "VALUE"}`, flag.about);
    const value = readValue(flag, given);
    values.set(flag.name, flag.many === true ? [...((values.get(flag.name) ?? []) as readonly string[]), String(value)] : value);
  }
  const missing = command.flags.find((flag) => flag.required === true && !values.has(flag.name));
  if (missing !== undefined && values.get("help") !== true) {
    throw usage(`${line} needs --${missing.name} ${missing.placeholder ?? "VALUE"} (${missing.about})`, `see: ${line} --help`);
  }
  return { values, loose };
}

function unknownFlag(word: string, flags: readonly Flag[], line: string) {
  const name = (word.split("=", 1)[0] ?? "").replace(/^-+/, "");
  const near = suggest(
    name,
    flags.map((flag) => flag.name),
  );
  return usage(
    `${line} has no flag ${word.split("=", 1)[0]}`,
    near === undefined ? `see: ${line} --help` : `did you mean: --${near}`,
  );
}

function readValue(flag: Flag, given: string): string | number {
  const expected = (what: string) =>
    usage(
      `--${flag.name} ${JSON.stringify(given)}: ${what} is expected`,
      `${flag.about}; for example --${flag.name} ${exampleOf(flag)}`,
    );
  if (flag.kind === "integer") {
    if (!/^\d{1,15}$/.test(given)) throw expected("a whole number");
    return Number(given);
  }
  if (flag.kind === "duration") {
    const ms = parseDuration(given);
    if (ms === null) throw expected("a duration such as 500ms, 30s, 5m or 1h");
    return ms;
  }
  if (Array.isArray(flag.completion) && !flag.completion.includes(given)) throw expected(`one of ${flag.completion.join(", ")}`);
  return given;
}

function exampleOf(flag: Flag): string {
  if (flag.kind === "integer") return "3";
  if (flag.kind === "duration") return "30s";
  return Array.isArray(flag.completion) ? String(flag.completion.at(-1)) : (flag.placeholder ?? "VALUE");
}

/** Milliseconds of "500ms", "30s", "5m", "1h" or "30" (seconds); null when it is none of these or longer than a day. */
export function parseDuration(text: string): number | null {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(text);
  if (match === null) return null;
  const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[match[2] ?? "s"] ?? 1000;
  const ms = Math.round(Number(match[1]) * unit);
  return ms <= 86_400_000 ? ms : null;
}

function readArgs(command: CommandSpec, loose: readonly string[]): Record<string, string> {
  const line = ["aether", ...command.path].join(" ");
  const args: Record<string, string> = {};
  for (const [at, argument] of command.args.entries()) {
    const given = loose[at];
    if (given !== undefined) args[argument.name] = given;
    else if (argument.optional !== true) {
      throw usage(`${line} needs ${argument.name.toUpperCase()} (${argument.about})`, `see: ${line} --help`);
    }
  }
  const extra = loose[command.args.length];
  if (extra !== undefined) {
    const takes =
      command.args.length === 0 ? "no argument" : command.args.map((argument) => argument.name.toUpperCase()).join(" ");
    throw usage(`${line} takes ${takes}: what is ${JSON.stringify(extra)} for?`, `see: ${line} --help`);
  }
  return args;
}

function makeInvocation(command: CommandSpec, values: ReadonlyMap<string, Value>, args: Record<string, string>): Invocation {
  const output = (values.get("output") ?? "table") as OutputFormat;
  if (!command.outputs.includes(output)) {
    throw usage(`aether ${command.path.join(" ")} has no output ${output}`, `it has: ${command.outputs.join(", ")}`);
  }
  const declared = [...command.flags, ...globalFlags];
  const value = (name: string): Value | undefined => {
    if (!declared.some((flag) => flag.name === name)) throw new Error(`${command.path.join(" ")} declares no flag ${name}`);
    return values.get(name);
  };
  return {
    command,
    output,
    args,
    text: (name) => value(name) as string | undefined,
    texts: (name) => (value(name) ?? []) as readonly string[],
    integer: (name) => value(name) as number | undefined,
    duration: (name) => value(name) as number | undefined,
    switched: (name) => value(name) === true,
    arg: (name) => {
      const given = args[name];
      if (given === undefined) throw new Error(`${command.path.join(" ")} declares no required argument ${name}`);
      return given;
    },
  };
}
