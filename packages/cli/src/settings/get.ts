import { connect } from "../context/connection.ts";
import type { SettingAnswer } from "../context/api.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { settingPath } from "./setting.ts";
import { showValue } from "./value-text.ts";

/** `aether settings get KEY`: the bare value for people and pipes, everything with -o json. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const setting = await connection.api.call<SettingAnswer>("GET", settingPath(call.arg("key")));
  connection.close();
  shell.out(call.output === "json" ? `${JSON.stringify(setting)}\n` : `${showValue(setting.value)}\n`);
  return exit.done;
};
