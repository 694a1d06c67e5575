import type { Invocation } from "./command.ts";
import type { Shell } from "./shell.ts";

/** What a command came to, on stdout: one line of JSON for programs, one of words for people. */
export function printResult(call: Invocation, shell: Pick<Shell, "out">, value: object, words: string): void {
  shell.out(call.output === "json" ? `${JSON.stringify(value)}\n` : `${words}\n`);
}
