import type { BackupPlan } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { commitName } from "./commit-text.ts";
import { renderPlan } from "./plan-text.ts";
import { thingsMax, thingsShown } from "./source.ts";

/** `aether backup diff COMMIT [COMMIT|now]`. */
export const run: Run = async (call, shell) => {
  const from = commitName(call.arg("commit"));
  const given = call.args["to"] ?? "now";
  const parameters = new URLSearchParams({ to: given === "now" ? given : commitName(given) });
  if (call.texts("only").length > 0) parameters.set("only", call.texts("only").join(","));
  parameters.set("limit", String(call.output === "json" ? thingsMax : thingsShown));
  const connection = await connect(call, shell);
  try {
    const answer = await connection.api.call<BackupPlan>("GET", `/v1/backups/${from}/diff?${parameters.toString()}`);
    shell.out(call.output === "json" ? `${JSON.stringify(answer)}\n` : renderPlan(answer, shell.paint));
    return exit.done;
  } finally {
    connection.close();
  }
};
