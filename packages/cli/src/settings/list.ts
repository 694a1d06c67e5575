import { connect } from "../context/connection.ts";
import type { SettingsAnswer } from "../context/api.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { settingsTable } from "./table.ts";

/** `aether settings list`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const answer = await connection.api.call<SettingsAnswer>("GET", "/v1/settings");
  connection.close();
  shell.out(call.output === "json" ? `${JSON.stringify(answer)}\n` : settingsTable(answer.settings, call.output === "wide"));
  return exit.done;
};
