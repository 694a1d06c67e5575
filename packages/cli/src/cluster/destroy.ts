import { rm } from "node:fs/promises";
import { clusterLabels } from "@aether/cloud/labels";
import { readClusterFile } from "../bootstrap/cluster-plan.ts";
import { readJournal, writeJournal, type Journal } from "../bootstrap/journal.ts";
import type { Doom, Doomed } from "../cloud/cloud-destroy.ts";
import { contextOf } from "../context/connection.ts";
import { forgetContext } from "../context/contexts.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { counted } from "../shell/counted.ts";
import { confirmByName } from "../shell/confirm.ts";
import type { Invocation, Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import type { Shell } from "../shell/shell.ts";
import { readIfThere } from "@aether/cloud/local/durable-file";
import { localProvider, withClusterLock } from "./local-cluster.ts";
import { provider } from "./provider-call.ts";

/** `aether cluster destroy [NAME]`. Interrupted, it is finished by running it again: the journal goes last. */
export const run: Run = async (call, shell) => {
  const file = call.text("config");
  const plan = file === undefined ? null : (await readClusterFile(file, shell)).result;
  const name = call.args["name"] ?? plan?.name ?? (await contextOf(call, shell)).cluster.name;
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw new Failure(exit.usage, `${JSON.stringify(name)} is no cluster's name`, "");
  if (plan !== null && plan.name !== name) throw usage(`${file} is the file of ${plan.name}, not of ${name}`, "");
  const bare = clusterFolder(shell.home, name);
  const text = await readIfThere(bare.journal);
  const journal = await readable(bare.journal);
  const folder = clusterFolder(shell.home, name, journal?.settings.dataDir ?? null);
  const atMost = call.integer("at-most");
  const settings = journal?.cloud ?? plan?.cloud ?? null;
  if (settings !== null) {
    const nodes = journal?.identity?.nodes.length ?? plan?.size ?? 0;
    const clusterId = journal?.identity?.clusterId ?? null;
    const ours: Ours = { folder, journal, isHere: text !== null };
    return destroyInCloud(call, shell, { name, settings, clusterId, expected: atMost ?? nodes }, ours);
  }
  if (text === null) {
    await forgetContext(shell.home, name);
    const hint = "aether context list shows what there is; for one in a cloud give its file: --config FILE";
    throw new Failure(exit.notFound, `there is no cluster ${name} in ${shell.home}`, hint);
  }
  if (journal === null && plan === null && (await bareOfInstances(name, folder))) {
    const message = `the journal of ${name} cannot be read, and this computer has no instance of it`;
    throw new Failure(
      exit.rejected,
      message,
      "if it is in a cloud, give its file: --config FILE; else remove its folder by hand",
    );
  }
  return destroyLocal(call, shell, name, { folder, journal, isHere: true });
};

interface Ours {
  readonly folder: ClusterFolder;
  readonly journal: Journal | null;
  /** Whether this computer has a folder of it. */
  readonly isHere: boolean;
}

/** A damaged journal of a cluster in a cloud must not be taken for a local one's: its machines would go on costing money. */
const bareOfInstances = async (name: string, folder: ClusterFolder): Promise<boolean> =>
  (await provider(localProvider(name, folder).compute.list(clusterLabels(name)))).length === 0;

async function destroyLocal(call: Invocation, shell: Shell, name: string, { folder, journal }: Ours): Promise<number> {
  const there = await provider(localProvider(name, folder).compute.list(clusterLabels(name)));
  const names = there.map((instance) => instance.name);
  if (call.switched("dry-run")) {
    printResult(
      call,
      shell,
      { name, dryRun: true, instances: names },
      `would end ${names.join(", ") || "no instance"} of ${name}`,
    );
    return exit.done;
  }
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
  printResult(call, shell, { name, deleted: names }, words);
  return exit.done;
}

async function destroyInCloud(
  call: Invocation,
  shell: Shell,
  doomed: Doomed,
  { folder, journal, isHere }: Ours,
): Promise<number> {
  const { destroyCloud, lookAtDoomed } = await import("../cloud/cloud-destroy.ts");
  const { name } = doomed;
  const doom = await lookAtDoomed(doomed, shell);
  const names = doom.instances.map((instance) => instance.name);
  if (names.length === 0 && call.integer("at-most") === undefined) refuseUnseen(journal, doomed.settings.provider);
  if (call.switched("dry-run")) {
    const shown = { name, provider: doomed.settings.provider, dryRun: true, ...shownDoom(doom) };
    printResult(call, shell, shown, doomText(name, doomed.settings.provider, doom));
    return exit.done;
  }
  const what = `this deletes ${counted(names.length, "instance")} of cluster ${name} at ${doomed.settings.provider}, with all data, secret and keys`;
  await confirmByName(shell, what, name, call.switched("yes"));
  const progress = follow(shell);
  const act = async (): Promise<void> => {
    if (journal !== null) await writeJournal(folder.journal, { ...journal, state: "destroying" });
    await destroyCloud(doomed, shell, (line) => progress.say(line));
    await forgetContext(shell.home, name);
  };
  await (isHere ? withClusterLock(folder, "cluster destroy", act) : act());
  await rm(folder.root, { recursive: true, force: true, maxRetries: 3 });
  progress.end();
  const words = `${name} is destroyed: ${counted(names.length, "instance")} at ${doomed.settings.provider}, and the cluster's keys are gone`;
  printResult(call, shell, { name, deleted: names }, words);
  return exit.done;
}

/** With credentials of another account, or for another region, nothing is seen and everything goes on costing money. */
function refuseUnseen(journal: Journal | null, cloud: string): void {
  const made = (journal?.identity?.nodes ?? []).filter((node) => node.machine?.instance != null);
  if (journal === null || journal.state === "destroying" || made.length === 0) return;
  throw new Failure(
    exit.rejected,
    `${cloud} shows no instance of ${journal.name}, and its journal has ${made.length} of them`,
    "are these the credentials that it was made with? When they are gone indeed: --at-most 0",
  );
}

const shownDoom = ({ instances, certificates, loadBalancer }: Doom) => ({
  instances: instances.map(({ name, id, rawState, zone }) => ({ name, id, state: rawState, zone: zone ?? null })),
  certificates: certificates.map(({ name, ref }) => ({ name, ref })),
  loadBalancer,
});

function doomText(name: string, cloud: string, { instances, certificates, loadBalancer }: Doom): string {
  const lines = [
    ...instances.map((instance) => `  instance ${instance.name} (${instance.id}, ${instance.rawState})`),
    ...certificates.map((certificate) => `  certificate ${certificate.name} (${certificate.ref})`),
    ...(loadBalancer === null ? [] : [`  the nodes' places in load balancer ${loadBalancer}, which stays`]),
  ];
  return lines.length === 0 ? `${name} has nothing at ${cloud}` : `would delete at ${cloud}:\n${lines.join("\n")}`;
}

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
