import type { HistoryAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { renderEntry } from "../log/render.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { readNode } from "./row.ts";

const eventsShown = 10;

/** `aether node show NODE`. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const name = call.arg("node");
  const node = await readNode(connection.api, name);
  const history = await connection.api.call<HistoryAnswer>("GET", `/v1/history/node/${encodeURIComponent(name)}?limit=1000`);
  connection.close();
  if (call.output === "json") {
    shell.out(`${JSON.stringify({ ...node, entries: history.entries })}\n`);
    return exit.done;
  }
  const facts = [
    ["node", node.name],
    ["member", String(node.member)],
    ["address", node.address ?? "-"],
    ["duty", node.left ? `${node.duty} (left)` : node.duty],
    ["contact", node.contact],
    ["reason", node.reason === "" ? "-" : node.reason],
    ["version", `${node.version}, of index ${node.index}`],
  ] as const;
  shell.out(facts.map(([key, value]) => `${key.padEnd(10)}${value}\n`).join(""));
  shell.out(
    `\n${history.entries
      .slice(-eventsShown)
      .map((entry) => renderEntry(entry, shell.paint, `node/${name}`))
      .join("")}`,
  );
  return exit.done;
};
