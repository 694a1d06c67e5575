/** What is left to do when a recovery is decided: each step finds out what is already there, so that it can be killed and run again anywhere. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import { readIfThere, writeDurably } from "@aether/cloud/local/durable-file";
import { releaseInstance } from "@aether/cloud/local/release";
import type { Instance } from "@aether/cloud/provider";
import type { FinishedRecovery } from "@aether/node/recovery/recover-folder";
import { findSecret } from "../bootstrap/cluster-plan.ts";
import { contextFor } from "../bootstrap/identity.ts";
import { writeJournal, type JournalNode } from "../bootstrap/journal.ts";
import { issueMember, issuePeople, openAuthority } from "../bootstrap/pki.ts";
import { awaitDaemons } from "../bootstrap/provision.ts";
import { instanceSpec, localProvider } from "../cluster/local-cluster.ts";
import { provider } from "../cluster/provider-call.ts";
import type { ClusterAnswer, MemberAnswer, NodesAnswer } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import { saveContext, type Context } from "../context/contexts.ts";
import type { ClusterFolder } from "../context/home.ts";
import { exit, Failure } from "../shell/failure.ts";
import { stepProgress } from "../shell/progress.ts";
import type { Shell } from "../shell/shell.ts";
import { waitFor } from "../shell/wait.ts";
import { removeRecoverJournal, type RecoverJournal } from "./recover-journal.ts";

export const stepNames = [
  "put the recovered disk in its place",
  "issue certificates",
  "set the other members aside",
  "start the member",
  "wait until it leads",
  "verify the cluster",
] as const;

export interface GoingOn {
  readonly shell: Shell;
  readonly folder: ClusterFolder;
  readonly journal: RecoverJournal;
  readonly withinMs: number;
  /** Puts the disk in its place, or finds it there. */
  readonly place: () => Promise<FinishedRecovery>;
}

export interface Recovery extends FinishedRecovery {
  /** Where the folders of the others are kept. */
  readonly kept: readonly string[];
  readonly index: number;
}

/** Resolves when the recovered cluster serves; then nothing of the recovery is left to do. */
export async function goOn(g: GoingOn): Promise<Recovery> {
  const { shell, folder } = g;
  const progress = stepProgress(stepNames, { ...shell, now: () => performance.now() });
  const step = async <A>(at: number, act: (say: (text: string) => void) => Promise<readonly [A, string]>): Promise<A> => {
    progress.begin(at);
    try {
      const [result, detail] = await act((text) => progress.say(text));
      progress.done(detail);
      return result;
    } catch (error) {
      progress.failed(error instanceof Error ? error.message : String(error));
      throw error;
    }
  };
  const placed = await step(0, async () => {
    const done = await g.place();
    return [done, `the old one is kept in ${done.retired}`];
  });
  const context = await step(1, async () => [await issueAll(g), "for the new cluster id"]);
  const kept = await step(2, () => setAside(g));
  await step(3, (say) => startMember(g, context, say));
  const index = await step(4, (say) => awaitLeadership(g, context, say));
  await step(5, async () => [null, await verifyCluster(g, context)]);
  await removeRecoverJournal(folder);
  return { ...placed, kept, index };
}

const identityOf = ({ journal }: GoingOn): { readonly clusterId: string; readonly node: JournalNode } => {
  const { identity } = journal.next;
  const node = identity?.nodes[0];
  if (identity === null || node === undefined) throw new Error("a recovered cluster has one node");
  return { clusterId: identity.clusterId, node };
};

async function issueAll(g: GoingOn): Promise<Context> {
  const { shell, folder, journal } = g;
  const { clusterId, node } = identityOf(g);
  const secret = await secretOf(g);
  const authority = await openAuthority(folder.pki, clusterId, journal.next.name, reveal(secret));
  await issuePeople(authority);
  await issueMember(authority, node.name);
  const context = contextFor(journal.next, authority);
  await saveContext(shell.home, context, true);
  return context;
}

/** A disk from elsewhere whose secret nobody named: the new cluster gets one of its own, as any local cluster does. */
async function secretOf({ shell, folder, journal }: GoingOn): Promise<Redacted> {
  const { security } = (journal.next.configuration ?? {}) as { readonly security?: { readonly cluster_secret?: string } };
  const none = (await readIfThere(folder.secret)) === null && security?.cluster_secret === undefined;
  if (!none || (await readIfThere(join(folder.pki, "ca.pem"))) !== null) return findSecret(journal.next, folder, shell);
  const secret = randomBytes(32).toString("base64url");
  await writeDurably(folder.secret, `${secret}\n`, 0o600);
  return redact(secret);
}

/** The old cluster's instances are forgotten here, and what they had is kept beside: nobody can say yet that it is of no use. */
async function setAside(g: GoingOn): Promise<readonly [readonly string[], string]> {
  const { folder, journal } = g;
  const { next, others, oldClusterId } = journal;
  const { clusterId } = identityOf(g);
  const cloud = localProvider(next.name, folder);
  const instances = await provider(cloud.compute.list(clusterLabels(next.name)));
  const kept: string[] = [];
  for (const name of new Set([...others, ...instances.map((instance) => instance.name)])) {
    const instance = instances.find((one) => one.name === name);
    if (instance?.labels[labelKeys.clusterId] === clusterId) continue;
    if (instance !== undefined) await end(g, instance);
    const survivor = name === journal.node;
    const released = await releaseInstance(
      { registryDir: folder.registry, nodesDir: folder.nodes },
      name,
      survivor ? null : `retired-${name}-${oldClusterId.slice(0, 8)}`,
    );
    if ("refused" in released) throw new Failure(exit.rejected, released.refused, "end it, then run this again");
    if (!survivor && released.keptIn !== null) kept.push(released.keptIn);
  }
  return [kept, kept.length === 0 ? "there are none here" : `kept: ${kept.join(", ")}`];
}

/** One that does not end in time is killed: its disk is as it would be after a power cut, and its cluster is no more. */
async function end({ folder, journal }: GoingOn, instance: Instance): Promise<void> {
  if (!["running", "pending", "stopping"].includes(instance.state)) return;
  const { power } = localProvider(journal.next.name, folder).compute;
  try {
    await provider(power(instance.id, "stop-graceful"));
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== exit.notReady) throw error;
    await provider(power(instance.id, "stop-hard"));
  }
}

async function startMember(g: GoingOn, context: Context, say: (text: string) => void): Promise<readonly [null, string]> {
  const { folder, journal, withinMs } = g;
  const { clusterId, node } = identityOf(g);
  await writeJournal(folder.journal, journal.next);
  const cloud = localProvider(journal.next.name, folder);
  const { instance } = await provider(cloud.compute.ensure(instanceSpec(journal.next, clusterId, node, folder)));
  if (instance.state !== "running") await provider(cloud.compute.power(instance.id, "start"));
  const connection = await connectContext(context);
  try {
    await awaitDaemons(cloud, connection, [node], journal.next.name, withinMs, say);
  } finally {
    connection.close();
  }
  return [null, `${node.name} answers at ${node.address}`];
}

async function awaitLeadership(g: GoingOn, context: Context, say: (text: string) => void): Promise<readonly [number, string]> {
  const { clusterId, node } = identityOf(g);
  const connection = await connectContext(context);
  try {
    const api = connection.member(node.address);
    const hint = "its log tells more: aetherd.log in its folder";
    const index = await waitFor({ what: `${node.name} leads`, withinMs: g.withinMs, say, hint }, async () => {
      const answer = await api.call<MemberAnswer>("GET", "/v1/member");
      if (answer.cluster.id === clusterId && answer.leader?.member === answer.member) return { ready: answer.applied };
      return { waiting: `it is ${answer.role}` };
    });
    return [index, `entry ${index} is applied`];
  } finally {
    connection.close();
  }
}

/** Read through the cluster itself, so that it has been seen to commit. */
async function verifyCluster(g: GoingOn, context: Context): Promise<string> {
  const { clusterId, node } = identityOf(g);
  const connection = await connectContext(context);
  try {
    const options = { timeoutMs: g.withinMs };
    const row = await connection.api.call<ClusterAnswer>("GET", "/v1/cluster", options);
    const { nodes } = await connection.api.call<NodesAnswer>("GET", "/v1/nodes", options);
    const staying = nodes.filter(({ left }) => !left).map(({ name }) => name);
    if (row.clusterId !== clusterId || staying.length !== 1 || staying[0] !== node.name) {
      const message = `the cluster says that it is ${row.clusterId}, with ${staying.join(", ")}`;
      throw new Failure(exit.failed, message, "keep its folders: this is a defect of Aether");
    }
    return `one member, ${nodes.length - 1} gone, size ${row.size}`;
  } finally {
    connection.close();
  }
}
