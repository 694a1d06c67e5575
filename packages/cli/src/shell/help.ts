/** Help, examples first. */
import { globalFlags, type CommandSpec, type Flag, type Group } from "./command.ts";
import { nextWords } from "./parse.ts";

const opening = "Aether runs fleets of machines from one replicated event log.";
const firstSteps = [
  ["aether cluster bootstrap --config fixtures/clusters/local.toml", "make a cluster from one file"],
  ["aether cluster status", "see its members"],
  ["aether settings set cpu_warning 0.8", "write something"],
  ["aether events --follow", "watch everything that happens"],
] as const;

/** Help for a command, a group or, with an empty path, for `aether` itself. */
export function renderHelp(path: readonly string[], commands: readonly CommandSpec[], groups: readonly Group[]): string {
  const command = commands.find((candidate) => candidate.path.join(" ") === path.join(" "));
  return command === undefined ? groupHelp(path, commands, groups) : commandHelp(command);
}

function commandHelp(command: CommandSpec): string {
  const words = ["aether", ...command.path, ...command.args.map(usageOfArgument), ...command.flags.map(usageOfFlag)];
  const outputs = globalFlags.map((flag) => (flag.name === "output" ? { ...flag, about: command.outputs.join(" or ") } : flag));
  return [
    `${command.summary}.\n`,
    section(
      "Examples",
      command.examples.map((example) => [example.line, example.about] as const),
    ),
    `Usage\n  ${words.join(" ")}\n`,
    ...(command.about === undefined ? [] : [`${command.about}\n`]),
    section(
      "Arguments",
      command.args.map((argument) => [argument.name.toUpperCase(), argument.about] as const),
    ),
    section(
      "Flags",
      command.flags.map((flag) => [titleOfFlag(flag), flag.about] as const),
    ),
    section(
      "For every command",
      outputs.map((flag) => [titleOfFlag(flag), flag.about] as const),
    ),
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function groupHelp(path: readonly string[], commands: readonly CommandSpec[], groups: readonly Group[]): string {
  const group = groups.find((candidate) => candidate.path.join(" ") === path.join(" "));
  const below = commands.filter((command) => command.hidden !== true && path.every((word, at) => command.path[at] === word));
  const examples =
    path.length === 0 ? firstSteps : below.flatMap((c) => c.examples.slice(0, 1)).map((e) => [e.line, e.about] as const);
  const prefix = ["aether", ...path].join(" ");
  const entries = nextWords(path, commands, groups).map((word) => {
    const full = [...path, word].join(" ");
    const known = [...groups, ...commands].find((candidate) => candidate.path.join(" ") === full);
    return [word, known?.summary ?? ""] as const;
  });
  return [
    `${group === undefined ? opening : `${group.summary}.`}\n`,
    section("Examples", examples),
    section("Commands", entries),
    section(
      "For every command",
      globalFlags.map((flag) => [titleOfFlag(flag), flag.about] as const),
    ),
    `More: ${prefix} COMMAND --help\n`,
  ]
    .filter((part) => part !== "")
    .join("\n");
}

function section(title: string, rows: readonly (readonly [string, string])[]): string {
  if (rows.length === 0) return "";
  const room = Math.max(...rows.map(([left]) => left.length));
  return `${title}\n${rows.map(([left, right]) => `${`  ${left.padEnd(room)}   ${right}`.trimEnd()}\n`).join("")}`;
}

const usageOfArgument = (argument: { readonly name: string; readonly optional?: boolean }): string =>
  argument.optional === true ? `[${argument.name.toUpperCase()}]` : argument.name.toUpperCase();

function usageOfFlag(flag: Flag): string {
  const text = flag.kind === "switch" ? `--${flag.name}` : `--${flag.name} ${flag.placeholder ?? "VALUE"}`;
  return flag.required === true ? text : `[${text}]`;
}

const titleOfFlag = (flag: Flag): string =>
  `${flag.short === undefined ? "    " : `-${flag.short}, `}--${flag.name}${flag.kind === "switch" ? "" : ` ${flag.placeholder ?? "VALUE"}`}`;
