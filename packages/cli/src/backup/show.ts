import type { BackupAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { printable } from "../shell/printable.ts";
import type { Paint } from "../shell/shell.ts";
import { humanDuration } from "../shell/table.ts";
import { commitName } from "./commit-text.ts";
import { momentText } from "./moment.ts";

const changesShown = 30;

/** `aether backup show [COMMIT]`. */
export const run: Run = async (call, shell) => {
  const name = commitName(call.args["commit"]);
  const connection = await connect(call, shell);
  try {
    const answer = await connection.api.call<BackupAnswer>("GET", `/v1/backups/${name}`);
    shell.out(call.output === "json" ? `${JSON.stringify(answer)}\n` : renderCommit(answer, Date.now(), shell.paint));
    return exit.done;
  } finally {
    connection.close();
  }
};

/** The commit for people; `nowMs` is what its age is counted from. */
export function renderCommit(answer: BackupAnswer, nowMs: number, paint: Paint): string {
  const { manifest, message, changes, changesTotal } = answer;
  const counts = Object.entries(manifest.counts).map(([noun, count]) => `${noun} ${count}`);
  const shown = changes.slice(0, changesShown);
  const hidden = changesTotal - shown.length;
  return [
    `commit ${paint("bold", answer.commit)}\n`,
    ...(answer.parent === null ? [] : [`parent ${answer.parent}\n`]),
    `taken  ${momentText(answer.at)}, ${humanDuration(Math.max(0, nowMs - answer.at))} ago, of index ${manifest.index}\n`,
    `of     cluster ${printable(manifest.cluster.name)} (${manifest.cluster.id})\n`,
    `holds  ${counts.length === 0 ? "nothing" : counts.join(", ")}\n`,
    `wanted ${manifest.wanted}\n`,
    `\n    ${printable(message.split("\n")[0] ?? "")}\n`,
    ...(shown.length === 0 ? [] : ["\n"]),
    ...shown.map(({ kind, noun, id }) => `${signs[kind]} ${noun} ${printable(id)}\n`),
    ...(hidden > 0 ? [`… and ${hidden} more (-o json shows the first 1,000)\n`] : []),
  ].join("");
}

const signs = { created: "+", changed: "~", removed: "-" } as const;
