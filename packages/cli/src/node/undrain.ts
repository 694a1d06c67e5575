import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { askDuty } from "./row.ts";

/** `aether node undrain NODE`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const name = call.arg("node");
  const { index, version } = await askDuty(connection.api, name, "undrain", {});
  connection.close();
  shell.out(
    call.output === "json" ? `${JSON.stringify({ name, duty: "on-duty", index, version })}\n` : `${name} is on duty again\n`,
  );
  return exit.done;
};
