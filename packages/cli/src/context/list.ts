import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { renderTable } from "../shell/table.ts";
import { readContexts } from "./contexts.ts";

/** `aether context list`. */
export const run: Run = async (call, shell) => {
  const { current, contexts } = await readContexts(shell.home);
  if (call.output === "json") {
    const shown = contexts.map(({ name, cluster, endpoints }) => ({ name, current: name === current, cluster, endpoints }));
    shell.out(`${JSON.stringify({ current, contexts: shown })}\n`);
    return exit.done;
  }
  if (contexts.length === 0) {
    shell.err("no cluster is known yet; make one: aether cluster bootstrap --config fixtures/clusters/local.toml\n");
    return exit.done;
  }
  const table = renderTable(
    [
      { title: "", cell: (context) => (context.name === current ? "*" : "") },
      { title: "NAME", cell: (context) => context.name },
      { title: "CLUSTER", cell: (context) => context.cluster.name },
      { title: "ENDPOINTS", cell: (context) => context.endpoints.join(", ") },
    ],
    contexts,
  );
  shell.out(table);
  return exit.done;
};
