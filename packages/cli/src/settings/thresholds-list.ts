import { thresholdOf } from "@aether/core/setting/thresholds";
import { connect } from "../context/connection.ts";
import type { SettingsAnswer } from "../context/api.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { settingsTable } from "./table.ts";

/** `aether thresholds list`: the settings among the known metrics. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const answer = await connection.api.call<SettingsAnswer>("GET", "/v1/settings");
  connection.close();
  const settings = answer.settings.filter(({ key }) => thresholdOf(key) !== undefined);
  shell.out(
    call.output === "json"
      ? `${JSON.stringify({ index: answer.index, settings })}\n`
      : settingsTable(settings, call.output === "wide"),
  );
  return exit.done;
};
