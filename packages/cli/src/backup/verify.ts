import type { VerifyAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { counted } from "../shell/counted.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { printable } from "../shell/printable.ts";
import { commitName, shortCommit } from "./commit-text.ts";

const waitMs = 600_000;

/** `aether backup verify [COMMIT]`. Exit code 1 when it is not sound. */
export const run: Run = async (call, shell) => {
  const commit = commitName(call.args["commit"]);
  const connection = await connect(call, shell);
  try {
    const timeoutMs = call.duration("timeout") ?? waitMs;
    const answer = await connection.api.call<VerifyAnswer>("POST", "/v1/backups/verify", { body: { commit }, timeoutMs });
    shell.out(call.output === "json" ? `${JSON.stringify(answer)}\n` : renderVerdict(answer));
    return answer.sound ? exit.done : exit.failed;
  } finally {
    connection.close();
  }
};

/** The verdict for people: one line, or one for each damaged file. */
export function renderVerdict({ sound, commit, objects, files, faults, audit }: VerifyAnswer): string {
  const of = `commit ${shortCommit(commit)}`;
  const log = printable(audit.why);
  if (sound) return `${of} is sound: ${counted(objects, "object")}, ${counted(files, "file")}; ${log}\n`;
  const lines = faults.map(({ path, what }) => `  ${printable(path)}: ${printable(what)}\n`);
  return `${of} is DAMAGED: ${counted(faults.length, "fault")}\n${lines.join("")}`;
}
