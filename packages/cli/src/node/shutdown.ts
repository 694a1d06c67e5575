import { seconds } from "effect/Duration";
import { clusterLabels } from "@aether/cloud/labels";
import { readJournal, writeJournal, type Journal } from "../bootstrap/journal.ts";
import { contextFor } from "../bootstrap/identity.ts";
import { caFile } from "../bootstrap/pki.ts";
import { localProvider, withClusterLock } from "../cluster/local-cluster.ts";
import { provider } from "../cluster/provider-call.ts";
import type { Api, Written } from "../context/api.ts";
import { connect } from "../context/connection.ts";
import { saveContext } from "../context/contexts.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import { askDuty, followNode } from "./row.ts";

const followMs = 60_000;
const endsWithin = seconds(15);

/** `aether node shutdown NODE`: out of the membership, process ended. Its data folder stays for whoever wants to look. */
export const run: Run = async (call, shell) => {
  const name = call.arg("node");
  const force = call.switched("force");
  const reason = call.text("reason") ?? "";
  if (force && reason === "")
    throw usage("--force needs --reason TEXT", "it is written into the log, for whoever asks later why");
  const connection = await connect(call, shell);
  const progress = follow(shell);
  const wish = { force, reason, withinMs: call.duration("timeout") ?? followMs, say: (text: string) => progress.say(text) };
  if (call.switched("detach")) {
    await beginShutdown(connection.api, name, wish);
    connection.close();
    printResult(call, shell, { name, duty: "shutting-down", left: false }, `${name} is shutting down`);
    return exit.done;
  }
  await shutDown(connection.api, name, wish);
  connection.close();
  await releaseLocal(shell.home, connection.context.cluster.name, name, wish.say);
  progress.end();
  printResult(call, shell, { name, duty: "shutting-down", left: true }, `${name} has left the cluster and its process has ended`);
  return exit.done;
};

export interface ShutdownWish {
  readonly force: boolean;
  readonly reason: string;
  readonly withinMs: number;
  readonly say: (text: string) => void;
}

const beginShutdown = (api: Api, name: string, wish: ShutdownWish): Promise<Written> =>
  askDuty(api, name, "shutdown", { force: wish.force, reason: wish.reason });

/** Resolves when the node is out of the membership. */
export async function shutDown(api: Api, name: string, wish: ShutdownWish): Promise<void> {
  await beginShutdown(api, name, wish);
  const wait = { api, name, what: `${name} has left the membership`, withinMs: wish.withinMs, say: wish.say };
  await followNode(wait, (node) =>
    node === null || node.left ? { ready: null } : { waiting: `${name} is leaving the membership` },
  );
}

/** What this computer keeps of a node that has left; nothing where the cluster is not managed from here. */
async function releaseLocal(home: string, cluster: string, name: string, say: (text: string) => void): Promise<void> {
  const journal = await readJournal(clusterFolder(home, cluster).journal);
  // In a cloud the leader removes the machine of a node that has left.
  if (journal === null || journal.cloud !== undefined) return;
  const folder = clusterFolder(home, cluster, journal.settings.dataDir);
  await withClusterLock(folder, `release ${name}`, () => releaseNode(home, folder, journal, name, "stop", say));
}

/**
 * The process of a node that has left ends by itself, and is stopped if it does not; journal and context forget the node, and
 * with "delete" its instance and data go too. The caller holds the cluster's lock; resolves with the journal as written.
 */
export async function releaseNode(
  home: string,
  folder: ClusterFolder,
  journal: Journal,
  name: string,
  then: "stop" | "delete",
  say: (text: string) => void,
): Promise<Journal> {
  const cloud = localProvider(journal.name, folder);
  const instances = await provider(cloud.compute.list(clusterLabels(journal.name)));
  const instance = instances.find((candidate) => candidate.name === name);
  if (instance !== undefined) {
    say(`waiting for the process of ${name} to end`);
    if (instance.state === "running")
      await endsByItself(() => provider(cloud.compute.awaitState(instance.id, ["failed"], endsWithin)));
    await provider(cloud.compute.power(instance.id, "stop-graceful"));
    if (then === "delete") await provider(cloud.compute.delete(instance.id));
  }
  return forget(home, folder, journal, name);
}

/** A daemon that has left ends by itself; one that does not is stopped like any other. */
async function endsByItself(wait: () => Promise<unknown>): Promise<void> {
  try {
    await wait();
  } catch (error) {
    if (!(error instanceof Failure && error.code === exit.notReady)) throw error;
  }
}

async function forget(home: string, folder: ClusterFolder, journal: Journal, name: string): Promise<Journal> {
  if (journal.identity === null) return journal;
  const { clusterId } = journal.identity;
  const nodes = journal.identity.nodes.filter((node) => node.name !== name);
  const next: Journal = { ...journal, identity: { clusterId, nodes } };
  await writeJournal(folder.journal, next);
  await saveContext(home, contextFor(next, { folder: folder.pki, caFile: caFile(folder.pki), clusterId }), false);
  return next;
}
