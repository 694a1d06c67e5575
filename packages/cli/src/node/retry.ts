import { randomUUID } from "node:crypto";
import type { Written } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";

/** `aether node retry NODE`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const name = call.arg("node");
  const body = { type: "RetryInstance", id: name };
  const { index, changed } = await connection.api.call<Written>("POST", "/v1/commands", { body, idempotencyKey: randomUUID() });
  connection.close();
  const text = changed
    ? `the leader tries again to make a machine for ${name}`
    : `${name} waits for nobody: nothing to try again`;
  shell.out(call.output === "json" ? `${JSON.stringify({ name, changed, index })}\n` : `${text}\n`);
  return exit.done;
};
