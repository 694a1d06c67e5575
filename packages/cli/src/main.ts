/** Reads a command line, loads the one command that it names, and answers with its exit code. */
import { commands, groups } from "./commands.ts";
import { exit, Failure } from "./shell/failure.ts";
import { parseCommandLine } from "./shell/parse.ts";
import type { Shell } from "./shell/shell.ts";

/** Prints; throws only what was not to be expected. */
export async function main(words: readonly string[], shell: Shell): Promise<number> {
  try {
    const parsed = parseCommandLine(words, commands, groups);
    if (parsed.kind === "help") {
      const { renderHelp } = await import("./shell/help.ts");
      shell.out(renderHelp(parsed.path, commands, groups));
      return exit.done;
    }
    const { run } = await parsed.call.command.load();
    return await run(parsed.call, shell);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const hint = error.hint === "" ? "" : `${shell.paintErr("bold", "hint:")} ${error.hint}\n`;
    // On a terminal a line of progress may still stand there.
    shell.err(`${shell.errIsTerminal ? "\r\u001B[2K" : ""}${shell.paintErr("red", "error:")} ${error.message}\n${hint}`);
    return error.code;
  }
}
