/** `aether __complete KIND`: the names that exist, one a line. Whatever goes wrong, it prints less and never fails: it runs on a TAB. */
import { shortCommit } from "../backup/commit-text.ts";
import type { BackupsAnswer, NodesAnswer, SettingsAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { readContexts } from "../context/contexts.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";

const answerMs = 1_000;

export const run: Run = async (call, shell) => {
  try {
    for (const name of await namesOf(call.arg("kind"), call, shell)) shell.out(`${name}\n`);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
  }
  return exit.done;
};

async function namesOf(kind: string, call: Invocation, shell: Shell): Promise<readonly string[]> {
  if (kind === "context") return (await readContexts(shell.home)).contexts.map(({ name }) => name);
  if (!["node", "setting", "commit"].includes(kind)) return [];
  const connection = await connect(call, shell);
  try {
    const options = { timeoutMs: answerMs };
    if (kind === "node") {
      const { nodes } = await connection.api.call<NodesAnswer>("GET", "/v1/nodes?consistency=stale", options);
      return nodes.map(({ name }) => name);
    }
    if (kind === "commit") {
      const { backups } = await connection.api.call<BackupsAnswer>("GET", "/v1/backups?limit=50", options);
      return backups.map(({ commit }) => shortCommit(commit));
    }
    const { settings } = await connection.api.call<SettingsAnswer>("GET", "/v1/settings?consistency=stale", options);
    return settings.map(({ key }) => key);
  } finally {
    connection.close();
  }
}
