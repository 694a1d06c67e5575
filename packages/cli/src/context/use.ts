import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { chooseContext, readContexts, writeContexts } from "./contexts.ts";

/** `aether context use NAME`. */
export const run: Run = async (call, shell) => {
  const all = await readContexts(shell.home);
  const { name } = chooseContext(all, call.arg("name"), undefined);
  if (all.current !== name) await writeContexts(shell.home, { ...all, current: name });
  shell.out(call.output === "json" ? `${JSON.stringify({ current: name })}\n` : `commands now go to ${name}\n`);
  return exit.done;
};
