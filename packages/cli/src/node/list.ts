import type { NodesAnswer } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { byNodeName } from "../cluster/members.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { renderTable } from "../shell/table.ts";

/** `aether node list`: the rows, as a quorum confirms them. */
export const run: Run = async (call, shell) => {
  const connection = await connect(call, shell);
  const answer = await connection.api.call<NodesAnswer>("GET", "/v1/nodes");
  connection.close();
  if (call.output === "json") {
    shell.out(`${JSON.stringify(answer)}\n`);
    return exit.done;
  }
  const table = renderTable(
    [
      { title: "NODE", cell: (node) => node.name },
      { title: "ID", cell: (node) => String(node.member), right: true },
      { title: "DUTY", cell: (node) => (node.left ? `${node.duty} (left)` : node.duty) },
      { title: "CONTACT", cell: (node) => (node.left ? "-" : node.contact) },
      { title: "ADDRESS", cell: (node) => node.address ?? "-" },
      { title: "REASON", cell: (node) => node.reason },
      { title: "VERSION", cell: (node) => String(node.version), right: true, wide: true },
      { title: "INDEX", cell: (node) => String(node.index), right: true, wide: true },
    ],
    answer.nodes.toSorted((a, b) => byNodeName(a.name, b.name)),
    call.output === "wide",
  );
  shell.out(table);
  return exit.done;
};
