/** docs/cli.md, made from the command table. */
import { globalFlags, type CommandSpec, type Flag, type Group } from "./shell/command.ts";

const intro = `# The command \`aether\`

Made from the command table by \`AETHER_WRITE_DOCS=1 npm test -- --project unit packages/cli/src/reference.test.ts\`; do not edit.

Data goes to stdout, messages and progress to stderr. A verb that changes something follows it to the end.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong usage |
| 3 | not found |
| 4 | refused by the cluster, or not confirmed |
| 5 | not ready in time, or nobody answers |
| 130 | interrupted |

| environment | means |
|---|---|
| \`AETHER_HOME\` | where contexts and clusters are kept (\`~/.aether\`) |
| \`AETHER_CONTEXT\` | the context to use; \`--context\` goes before it |
| \`NO_COLOR\` | plain text |
`;

/** The whole page. */
export function renderReference(commands: readonly CommandSpec[], groups: readonly Group[]): string {
  const shown = commands.filter((command) => command.hidden !== true);
  const parts = shown.map((command, at) => {
    const group = groups.find(({ path }) => path[0] === command.path[0]);
    const first = group !== undefined && shown[at - 1]?.path[0] !== command.path[0];
    return `${first ? `## aether ${group.path.join(" ")}\n\n${group.summary}.\n\n` : ""}${commandPart(command, group === undefined)}`;
  });
  return [intro, `## Flags of every command\n\n${flagTable(globalFlags)}`, ...parts].join("\n");
}

function commandPart(command: CommandSpec, alone: boolean): string {
  const words = command.args.map((argument) =>
    argument.optional === true ? `[${argument.name.toUpperCase()}]` : argument.name.toUpperCase(),
  );
  const examples = command.examples.map(({ line, about }) => (about === "" ? line : `${line}   # ${about}`));
  return [
    `${alone ? "##" : "###"} aether ${[...command.path, ...words].join(" ")}\n`,
    `${command.summary}.${command.about === undefined ? "" : ` ${command.about.replaceAll("\n", " ")}`}\n`,
    `\`\`\`sh\n${examples.join("\n")}\n\`\`\`\n`,
    ...(command.args.length === 0 ? [] : [argumentTable(command)]),
    ...(command.flags.length === 0 ? [] : [flagTable(command.flags)]),
  ].join("\n");
}

const row = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;

const argumentTable = (command: CommandSpec): string =>
  `${row(["argument", "means"])}|---|---|\n${command.args.map(({ name, about }) => row([name.toUpperCase(), about])).join("")}`;

function flagTable(flags: readonly Flag[]): string {
  const lines = flags.map((flag) => {
    const value = flag.kind === "switch" ? "" : ` ${flag.placeholder ?? "VALUE"}`;
    const names = [...(flag.short === undefined ? [] : [`-${flag.short}`]), `--${flag.name}`].map(
      (name) => `\`${name}${value}\``,
    );
    return row([names.join(", "), flag.about + (flag.required === true ? " (required)" : "")]);
  });
  return `${row(["flag", "means"])}|---|---|\n${lines.join("")}`;
}
