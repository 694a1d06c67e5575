/** Steps 3, 4, 6 and 7: is it possible here, is it there already, make it, start it. */
import { open } from "node:fs/promises";
import { clusterLabels } from "@aether/cloud/labels";
import type { CloudProvider, Instance } from "@aether/cloud/provider";
import { instanceSpec } from "../cluster/local-cluster.ts";
import { provider } from "../cluster/provider-call.ts";
import { connectContext, type Connection } from "../context/connection.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { waitFor } from "../shell/wait.ts";
import type { ClusterPlan } from "./cluster-plan.ts";
import type { Identity } from "./identity.ts";
import type { BackupPlace } from "../backup/place.ts";
import type { Journal, Seed } from "./journal.ts";
import type { Bootstrap, Did } from "./steps.ts";

export async function preflight(plan: ClusterPlan, cloud: CloudProvider): Promise<Did<CloudProvider>> {
  const checks = await provider(cloud.preflight);
  const broken = checks.filter((check) => !check.ok);
  if (broken.length === 0) return { result: cloud, detail: `${checks.length} checks passed` };
  const list = broken.map(({ check, detail }) => `${check} (${detail})`).join("; ");
  const where = plan.cloud === null ? "this computer" : `the account at ${plan.cloud.provider}`;
  throw new Failure(exit.failed, `${where} is not ready for it: ${list}`, "mend these, nothing has been made yet");
}

/** An unreadable list is an error and never "none": that would provision twice. */
export async function lookForCluster(b: Bootstrap, from: BackupPlace | null): Promise<Did<null>> {
  const { steps, plan } = b;
  const journal = steps.journal;
  const instances = await provider(b.provider.compute.list(clusterLabels(plan.name)));
  if (journal.state === "destroying") {
    throw new Failure(
      exit.rejected,
      `${plan.name} is being destroyed`,
      `finish that first: aether cluster destroy ${plan.name} --yes`,
    );
  }
  refuseOtherBackup(journal, from);
  if (journal.identity === null) {
    if (instances.length === 0) return { result: null, detail: "none: a new cluster" };
    const names = instances.map((instance) => instance.name).join(", ");
    const hint = `remove them: aether cluster destroy ${plan.name} --yes`;
    throw new Failure(
      exit.rejected,
      `instances of a cluster ${plan.name} exist (${names}), but no journal tells whose they are`,
      hint,
    );
  }
  if (journal.state === "ready") {
    const count = journal.identity.nodes.length;
    const scaled = count === plan.size ? "" : `, with ${counted(count, "node")} by now (the file says ${plan.size})`;
    const since = new Date(journal.step.at).toISOString().slice(0, 19);
    return { result: null, detail: `ready since ${since}Z${scaled}; verifying only` };
  }
  refuseOtherPlan(b);
  return { result: null, detail: `an unfinished one, ${instances.length} of ${plan.size} instances; going on` };
}

/** A cluster is finished from the backup that it was begun from, and one that is there already is restored in another way. */
function refuseOtherBackup(journal: Journal, from: BackupPlace | null): void {
  const begun = journal.fromBackup;
  const same = begun !== undefined && begun.repository === from?.repository && begun.commit.startsWith(hexOf(from.commit));
  if (same || (from === null && (begun === undefined || journal.state === "ready"))) return;
  if (journal.state === "ready") {
    const hint = "restore into the cluster as it runs: aether backup restore COMMIT; what it had stays in its history";
    throw new Failure(exit.rejected, `${journal.name} is a cluster already: --from-backup makes a new one`, hint);
  }
  if (begun === undefined) return;
  const message = `${journal.name} was begun from the backup ${begun.repository}@${begun.commit}`;
  throw new Failure(exit.rejected, message, "finish it with that same --from-backup, or destroy it");
}

/** HEAD and main stand for the commit that the first run found there. */
const hexOf = (commit: string | null): string => (commit === null || !/^[0-9a-f]{4,40}$/.test(commit) ? "" : commit);

/** A cluster is finished with the file that it was begun with. */
function refuseOtherPlan({ plan, steps }: Bootstrap): void {
  const begun = steps.journal;
  const same =
    JSON.stringify(begun.settings) === JSON.stringify(plan.settings) &&
    JSON.stringify(begun.configuration) === JSON.stringify(plan.configuration);
  if (same) return;
  const message = `${plan.name} was begun with another configuration than this file's`;
  throw new Failure(exit.rejected, message, "finish it with the file it was begun with (then scale or set), or destroy it");
}

export async function provisionInstances(b: Bootstrap, identity: Identity): Promise<Did<null>> {
  let made = 0;
  for (const node of identity.nodes) {
    b.steps.say(`${node.name} at ${node.address}`);
    const spec = instanceSpec(b.steps.journal, identity.clusterId, node, b.folder);
    const { created } = await provider(b.provider.compute.ensure(spec));
    if (created) made += 1;
  }
  const there = identity.nodes.length - made;
  const parts = [made === 0 ? "" : `${made} made`, there === 0 ? "" : `${there} already there`].filter((part) => part !== "");
  return { result: null, detail: parts.join(", ") };
}

/** Powers on what is off and waits until every daemon answers. */
export async function startNodes(b: Bootstrap, identity: Identity): Promise<Did<Identity>> {
  const connection = await connectContext(identity.context);
  try {
    let started = 0;
    for (const instance of await provider(b.provider.compute.list(clusterLabels(b.plan.name)))) {
      const wanted = identity.nodes.some((node) => node.name === instance.name);
      if (!wanted || instance.state === "running") continue;
      await provider(b.provider.compute.power(instance.id, "start"));
      started += 1;
    }
    await awaitDaemons(b.provider, connection, identity.nodes, b.plan.name, b.waitMs, (text) => b.steps.say(text));
    const again = started === 0 ? "" : `, ${started} started again`;
    return { result: identity, detail: `answers from ${counted(identity.nodes.length, "daemon")}${again}` };
  } finally {
    connection.close();
  }
}

/** Resolves when each node's daemon answers; fails at once, with its last words, when one ends. */
export async function awaitDaemons(
  cloud: CloudProvider,
  connection: Connection,
  nodes: readonly Seed[],
  cluster: string,
  withinMs: number,
  say: (text: string) => void,
): Promise<void> {
  const silent = new Set(nodes.map((node) => node.name));
  const said = new Map<string, string>();
  await waitFor({ what: "every daemon answers", withinMs, say, hint: `look at their logs in the nodes' folders` }, async () => {
    const asked = nodes.filter((node) => silent.has(node.name));
    await Promise.all(
      asked.map(async (node) => {
        const heard = await hear(connection, node.address);
        if (heard === null) silent.delete(node.name);
        else said.set(node.name, heard);
      }),
    );
    if (silent.size === 0) return { ready: null };
    await failIfEnded(cloud, cluster, silent);
    return { waiting: `waiting for ${[...silent].map((name) => `${name} (${said.get(name) ?? "not asked yet"})`).join(", ")}` };
  });
}

/** There is no use in waiting for a daemon that has ended: fails with its last words. */
export async function failIfEnded(cloud: CloudProvider, cluster: string, names: ReadonlySet<string>): Promise<void> {
  for (const instance of await provider(cloud.compute.list(clusterLabels(cluster)))) {
    if (names.has(instance.name) && instance.state === "failed") throw await endedByItself(instance);
  }
}

/**
 * Null when it answers, else what was heard. One that hangs up may be a machine that is becoming a node this moment: where it waited for
 * its maker, its daemon begins to listen.
 */
async function hear(connection: Connection, address: string): Promise<string | null> {
  const api = connection.member(address);
  try {
    await api.call("GET", "/v1/health/live", { timeoutMs: 1_000 });
    return null;
  } catch (error) {
    if (error instanceof Failure && (error.code === exit.notReady || error.reason === "unauthenticated")) return error.message;
    throw error;
  } finally {
    api.close();
  }
}

async function endedByItself(instance: Instance): Promise<Failure> {
  if (instance.facts["log"] === undefined) {
    const hint = "the vendor's console shows what the machine printed";
    return new Failure(exit.failed, `the machine of ${instance.name} has failed (${instance.rawState})`, hint);
  }
  const log = String(instance.facts["log"]);
  const words = await lastLines(log, 5);
  return new Failure(exit.failed, `${instance.name} ended by itself; its last words:\n${words}`, `the whole log: ${log}`);
}

/** The end of a file, at most 4 KiB of it. */
async function lastLines(path: string, count: number): Promise<string> {
  const file = await open(path, "r").catch(() => null);
  if (file === null) return "  (no log)";
  try {
    const { size } = await file.stat();
    const bytes = Buffer.alloc(Math.min(size, 4096));
    await file.read(bytes, 0, bytes.length, size - bytes.length);
    const lines = bytes.toString("utf8").trimEnd().split("\n").slice(-count);
    return lines.map((line) => `  ${line}`).join("\n");
  } finally {
    await file.close();
  }
}
