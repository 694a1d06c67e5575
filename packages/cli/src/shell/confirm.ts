import { exit, Failure } from "./failure.ts";
import type { Shell } from "./shell.ts";

/**
 * Asks a person to type `word` before something is destroyed. Without a terminal there is nobody to ask: then only the
 * flag --yes counts.
 */
export async function confirmByName(shell: Shell, what: string, word: string, yes: boolean): Promise<void> {
  if (yes) return;
  if (!shell.inIsTerminal) {
    throw new Failure(exit.rejected, `${what}, and there is no terminal to confirm it on`, "add --yes if this is what you want");
  }
  const typed = await shell.ask(`${what}.\nType ${word} to go on: `);
  if (typed.trim() !== word) throw new Failure(exit.rejected, "not confirmed: nothing was changed", `the word was ${word}`);
}

/** Asks for a yes before something is changed that can be undone. Whoever calls it has seen to it that there is a terminal, or `yes`. */
export async function confirm(shell: Pick<Shell, "ask">, what: string, yes: boolean): Promise<void> {
  if (yes) return;
  const typed = await shell.ask(`${what}. Go on? [y/N] `);
  if (!/^y(es)?$/i.test(typed.trim())) throw new Failure(exit.rejected, "not confirmed: nothing was changed", "");
}
