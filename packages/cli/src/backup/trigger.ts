import type { BackupTaken, Written } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { counted } from "../shell/counted.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import { humanDuration } from "../shell/table.ts";
import { shortCommit } from "./commit-text.ts";

const waitMs = 300_000;

/** `aether backup trigger`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const progress = follow(shell);
  try {
    if (call.switched("detach")) {
      const body = { type: "RequestBackup", id: connection.context.cluster.name, cause: "asked for" };
      const { index } = await connection.api.call<Written>("POST", "/v1/commands", { body });
      printResult(call, shell, { index }, `asked for at index ${index}; aether backup list shows when it is there`);
      return exit.done;
    }
    progress.say("asked for a backup");
    const timeoutMs = call.duration("timeout") ?? waitMs;
    const done = await connection.api.call<BackupTaken>("POST", "/v1/backups", { body: {}, timeoutMs });
    progress.end();
    printResult(call, shell, done, triggeredText(done));
    return exit.done;
  } finally {
    connection.close();
  }
};

const triggeredText = ({ new: made, commit, index, things, changed, tookMs }: BackupTaken): string => {
  const of = `commit ${shortCommit(commit)} of index ${index}: ${counted(things, "thing")}`;
  return made ? `${of}, ${changed} changed, in ${humanDuration(tookMs)}` : `nothing has changed since ${of}`;
};
