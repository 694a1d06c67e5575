/** `aether cluster bootstrap --dry-run`: what a run would make, to the letter, and what of it bills. Nothing is made or written. */
import type { Invocation } from "../shell/command.ts";
import { clusterFolder } from "../context/home.ts";
import { exit } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { readClusterFile } from "./cluster-plan.ts";
import { readJournal } from "./journal.ts";

export async function dryRun(call: Invocation, shell: Shell): Promise<number> {
  const { result: plan } = await readClusterFile(call.text("config") ?? "", shell);
  const folder = clusterFolder(shell.home, plan.name, plan.settings.dataDir);
  const journal = await readJournal(folder.journal);
  if (plan.cloud !== null) {
    const { planCloud, renderCloudPlan } = await import("../cloud/cloud-plan.ts");
    const shown = await planCloud(plan, plan.cloud, journal, shell);
    shell.out(call.output === "json" ? `${JSON.stringify(shown)}\n` : renderCloudPlan(shown));
    return exit.done;
  }
  const nodes = Array.from({ length: plan.size }, (_, at) => `n${at + 1}`);
  const shown = { name: plan.name, provider: "local", dryRun: true, exists: journal !== null, nodes, folder: folder.root };
  const words = `would make ${plan.name} on this computer: ${nodes.join(", ")}, in ${folder.root}; nothing of it bills\n`;
  shell.out(
    call.output === "json" ? `${JSON.stringify(shown)}\n` : journal === null ? words : `${plan.name} exists already: ${words}`,
  );
  return exit.done;
}
