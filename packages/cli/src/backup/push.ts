import type { PushAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printable } from "../shell/printable.ts";
import { printResult } from "../shell/result.ts";
import { shortCommit } from "./commit-text.ts";

const waitMs = 600_000;

/** `aether backup push`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const progress = follow(shell);
  try {
    progress.say("pushing");
    const body = { force: call.switched("force") };
    const timeoutMs = call.duration("timeout") ?? waitMs;
    const done = await connection.api.call<PushAnswer>("POST", "/v1/backups/push", { body, timeoutMs });
    progress.end();
    printResult(call, shell, done, `${printable(done.remote)} has commit ${shortCommit(done.commit)}`);
    return exit.done;
  } finally {
    connection.close();
  }
};
