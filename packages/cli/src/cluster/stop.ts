import type { Instance } from "@aether/cloud/provider";
import { contextOf } from "../context/connection.ts";
import type { Run } from "../shell/command.ts";
import { exit } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import { requireJournal, withClusterLock } from "./local-cluster.ts";
import { ownLabels, provider, providerFor } from "./provider-call.ts";

/** `aether cluster stop`: each member ends gracefully and knows everything it knew when it is started again. */
export const run: Run = async (call, shell) => {
  const { cluster } = await contextOf(call, shell);
  const { journal, folder } = await requireJournal(shell.home, cluster.name);
  const progress = follow(shell);
  const stopped = await withClusterLock(folder, "cluster stop", async () => {
    const cloud = await providerFor(journal, folder, shell);
    const instances = await provider(cloud.compute.list(ownLabels(journal)));
    const running = instances.filter((instance) => instance.state !== "stopped");
    if (running.length > 0) progress.say(`stopping ${running.map((instance) => instance.name).join(", ")}`);
    await Promise.all(running.map((instance: Instance) => provider(cloud.compute.power(instance.id, "stop-graceful"))));
    return running.map((instance) => instance.name);
  });
  progress.end();
  const words = stopped.length === 0 ? "was stopped already" : "is stopped: aether cluster start brings it back";
  printResult(call, shell, { name: cluster.name, stopped }, `${cluster.name} ${words}`);
  return exit.done;
};
