import { rm } from "node:fs/promises";
import { clusterLabels } from "@aether/cloud/labels";
import { readJournal, writeJournal, type Journal } from "../bootstrap/journal.ts";
import { contextOf } from "../context/connection.ts";
import { forgetContext } from "../context/contexts.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { counted } from "../shell/counted.ts";
import { confirmByName } from "../shell/confirm.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import { readIfThere } from "@aether/cloud/local/durable-file";
import { localProvider, provider, withClusterLock } from "./local-cluster.ts";

/** `aether cluster destroy [NAME]`. Interrupted, it is finished by running it again: the journal goes last. */
export const run: Run = async (call, shell) => {
  const name = call.args["name"] ?? (await contextOf(call, shell)).cluster.name;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw new Failure(exit.usage, `${JSON.stringify(name)} is no cluster's name`, "");
  const bare = clusterFolder(shell.home, name);
  const text = await readIfThere(bare.journal);
  if (text === null) {
    await forgetContext(shell.home, name);
    throw new Failure(exit.notFound, `there is no cluster ${name} in ${shell.home}`, "aether context list shows what there is");
  }
  const journal = await readable(bare.journal);
  const folder = clusterFolder(shell.home, name, journal?.settings.dataDir ?? null);
  const cloud = localProvider(name, folder);
  const there = await provider(cloud.compute.list(clusterLabels(name)));
  const what = `this ends ${counted(there.length, "instance")} of cluster ${name} and removes the data, the cluster's secret and its keys`;
  await confirmByName(shell, what, name, call.switched("yes"));
  const progress = follow(shell);
  await withClusterLock(folder, "cluster destroy", async () => {
    if (journal !== null) await writeJournal(folder.journal, { ...journal, state: "destroying" });
    await deleteInstances(name, folder, (line) => progress.say(line));
    await forgetContext(shell.home, name);
  });
  await rm(folder.root, { recursive: true, force: true, maxRetries: 3 });
  progress.end();
  const words = `${name} is destroyed: ${counted(there.length, "instance")}, their data and the cluster's keys are gone`;
  printResult(call, shell, { name, deleted: there.map((instance) => instance.name) }, words);
  return exit.done;
};

/** A damaged journal must not keep anyone from cleaning up: the instances are found by their labels. */
async function readable(path: string): Promise<Journal | null> {
  try {
    return await readJournal(path);
  } catch (error) {
    if (error instanceof Failure) return null;
    throw error;
  }
}

/** Until two looks in a row find nothing. */
export async function deleteInstances(name: string, folder: ClusterFolder, say: (line: string) => void): Promise<void> {
  const cloud = localProvider(name, folder);
  for (let empty = 0; empty < 2;) {
    const instances = await provider(cloud.compute.list(clusterLabels(name)));
    empty = instances.length === 0 ? empty + 1 : 0;
    if (instances.length > 0) say(`ending ${instances.map((instance) => instance.name).join(", ")}`);
    await Promise.all(instances.map((instance) => provider(cloud.compute.delete(instance.id))));
  }
}
