/**
 * Completion scripts. The tree of commands and flags stands in the script itself, so that completing them starts no process; only
 * names that live in the cluster or in the operator's files are asked for, with the hidden `aether __complete KIND`.
 */
import { commands, groups } from "../commands.ts";
import { globalFlags, type CommandSpec, type Completion, type Flag, type Run } from "../shell/command.ts";
import { nextWords } from "../shell/parse.ts";
import { exit, usage } from "../shell/failure.ts";

/** `aether completion SHELL`. */
export const run: Run = (call, shell) => {
  const render = { bash, zsh, fish }[call.arg("shell")];
  if (render === undefined) throw usage(`there are no completions for ${call.arg("shell")}`, "there are for bash, zsh and fish");
  shell.out(render());
  return Promise.resolve(exit.done);
};

const visible = (): readonly CommandSpec[] => commands.filter((command) => command.hidden !== true);
const flagsOf = (command: CommandSpec) => [...command.flags, ...globalFlags];

/** Every place where words may follow: the path so far and the words. */
function branches(): readonly { readonly at: string; readonly words: readonly string[] }[] {
  const paths = [[], ...groups.map((group) => group.path)];
  return paths.map((path) => ({ at: path.join(" "), words: nextWords(path, commands, groups) }));
}

/** Shell code that prints candidates for a value, or nothing for "file", which shells do themselves. */
const candidates = (completion: Completion | undefined): string => {
  if (completion === undefined || completion === "file") return "";
  return typeof completion === "string" ? `$(aether __complete ${completion} 2>/dev/null)` : completion.join(" ");
};

const namesOf = (flag: Flag): string => (flag.short === undefined ? `--${flag.name}` : `--${flag.name}|-${flag.short}`);

/** Every flag that takes a value, of any command, each once. */
const valueFlags = (): readonly Flag[] =>
  [
    ...new Map(
      visible()
        .flatMap(flagsOf)
        .map((flag) => [flag.name, flag]),
    ).values(),
  ].filter((flag) => flag.kind !== "switch");

function bash(): string {
  const next = branches().map(({ at, words }) => `    ${JSON.stringify(at)}) words=${JSON.stringify(words.join(" "))} ;;`);
  const last = visible().map((command) => {
    const flags = flagsOf(command).map((flag) => `--${flag.name}`);
    const args = command.args.map((argument) => candidates(argument.completion)).join(" ");
    return `    ${JSON.stringify(command.path.join(" "))}) words="${flags.join(" ")} ${args}" ;;`;
  });
  const values = valueFlags().map((flag) => {
    const offer = flag.completion === "file" ? `-f` : `-W "${candidates(flag.completion)}"`;
    return `    ${namesOf(flag)}) COMPREPLY=($(compgen ${offer} -- "$word")); return ;;`;
  });
  const complete = visible().map((command) => JSON.stringify(command.path.join(" ")));
  return `# aether completion for bash: source <(aether completion bash)
_aether() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" path="" words="" part value=""
  case "$before" in
${values.join("\n")}
  esac
  for part in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$value" ]; then value=""; continue; fi
    case "$part" in
      ${valueFlags().map(namesOf).join("|")}) value=1; continue ;;
      -*) continue ;;
    esac
    case "$path" in
      ${complete.join("|")}) ;;
      *) path="\${path:+$path }$part" ;;
    esac
  done
  case "$path" in
${[...next, ...last].join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -F _aether aether
`;
}

/** zsh runs the bash function through its own emulation of it. */
function zsh(): string {
  return `#compdef aether
# aether completion for zsh: source <(aether completion zsh)
autoload -U +X compinit && compinit -u
autoload -U +X bashcompinit && bashcompinit
${bash().split("\n").slice(1).join("\n")}`;
}

const describe = (path: readonly string[]): string =>
  [...groups, ...visible()].find((known) => known.path.join(" ") === path.join(" "))?.summary ?? "";

function fish(): string {
  const lines = ["# aether completion for fish: aether completion fish | source", "complete -c aether -f"];
  for (const { at, words } of branches()) {
    const path = at === "" ? [] : at.split(" ");
    const seen = path.map((word) => `__fish_seen_subcommand_from ${word}`);
    const unseen = `not __fish_seen_subcommand_from ${words.join(" ")}`;
    for (const word of words) {
      lines.push(
        `complete -c aether -n ${quote([...seen, unseen].join("; and "))} -a ${word} -d ${quote(describe([...path, word]))}`,
      );
    }
  }
  for (const command of visible()) {
    const seen = command.path.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    for (const argument of command.args.filter(({ completion }) => completion !== undefined && completion !== "file")) {
      const words = candidates(argument.completion).replace(/^\$\((.*)\)$/, "($1)");
      lines.push(`complete -c aether -n ${quote(seen)} -a ${quote(words)} -d ${quote(argument.about)}`);
    }
    for (const flag of flagsOf(command)) {
      const short = flag.short === undefined ? "" : ` -s ${flag.short}`;
      const words = candidates(flag.completion).replace(/^\$\((.*)\)$/, "($1)");
      const takes =
        flag.kind === "switch" ? "" : flag.completion === "file" ? " -r -F" : ` -x${words === "" ? "" : ` -a ${quote(words)}`}`;
      lines.push(`complete -c aether -n ${quote(seen)} -l ${flag.name}${short}${takes} -d ${quote(flag.about)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

const quote = (text: string): string => `'${text.replaceAll("'", "\\'")}'`;
