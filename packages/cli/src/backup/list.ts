import type { BackupsAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { printable } from "../shell/printable.ts";
import { humanDuration, renderTable, type Column } from "../shell/table.ts";
import { shortCommit } from "./commit-text.ts";
import { momentText } from "./moment.ts";

const rowsByDefault = 20;

/** `aether backup list`: what can be restored, the newest first. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  try {
    const limit = call.integer("limit") ?? rowsByDefault;
    const answer = await connection.api.call<BackupsAnswer>("GET", `/v1/backups?limit=${limit}`);
    if (call.output === "json") shell.out(`${JSON.stringify(answer)}\n`);
    else if (answer.backups.length === 0) shell.err("no backup yet: aether backup trigger makes one\n");
    else shell.out(renderTable(columnsAt(Date.now()), answer.backups, call.output === "wide"));
    return exit.done;
  } finally {
    connection.close();
  }
};

type Listed = BackupsAnswer["backups"][number];

/** `nowMs`: Unix milliseconds that the ages are counted from. */
export const columnsAt = (nowMs: number): readonly Column<Listed>[] => [
  { title: "COMMIT", cell: ({ commit }) => shortCommit(commit) },
  { title: "INDEX", cell: ({ index }) => String(index), right: true },
  { title: "TIME", cell: ({ at }) => momentText(at) },
  { title: "AGE", cell: ({ at }) => humanDuration(Math.max(0, nowMs - at)), right: true },
  { title: "THINGS", cell: ({ things }) => String(things), right: true },
  { title: "CHANGED", cell: ({ changed }) => String(changed), right: true },
  { title: "PUSHED", cell: ({ pushed }) => (pushed ? "yes" : "no") },
  { title: "CAUSE", cell: ({ cause }) => printable(cause), wide: true },
  { title: "MESSAGE", cell: ({ message }) => printable(message.split("\n")[0] ?? ""), wide: true },
];
