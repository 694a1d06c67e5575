/**
 * `aether cluster scale`. The wish is committed first; then this command makes it so, one node at a time, from what it finds:
 * a run that was interrupted is finished by the next one, and a run with nothing to do changes nothing.
 */
import { randomUUID } from "node:crypto";
import { value as reveal } from "effect/Redacted";
import type { ScaleAnswer } from "@aether/core/cluster/decide";
import { sizeMax } from "@aether/core/kernel/grammar";
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import { findSecret } from "../bootstrap/cluster-plan.ts";
import { chooseAddresses, contextFor } from "../bootstrap/identity.ts";
import { readJournal, writeJournal, type Journal, type JournalNode, type Seed } from "../bootstrap/journal.ts";
import { caFile, issueMember, openAuthority } from "../bootstrap/pki.ts";
import { awaitDaemons } from "../bootstrap/provision.ts";
import { connect, type Connection } from "../context/connection.ts";
import type { ClusterAnswer, NodeAnswer, NodesAnswer, Written } from "../context/api.ts";
import { saveContext } from "../context/contexts.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { drain } from "../node/drain.ts";
import { followNode } from "../node/row.ts";
import { releaseNode, shutDown } from "../node/shutdown.ts";
import { counted } from "../shell/counted.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import type { Shell } from "../shell/shell.ts";
import { instanceSpec, localProvider, requireJournal, withClusterLock } from "./local-cluster.ts";
import { provider } from "./provider-call.ts";
import { byNodeName, viewCluster } from "./members.ts";

const nodeWaitMs = 120_000;
/** A machine takes a minute or two until it runs, and as long to install what it needs. */
const machineWaitMs = 600_000;

export interface Scaling {
  readonly shell: Shell;
  readonly connection: Connection;
  readonly folder: ClusterFolder;
  readonly withinMs: number;
  readonly say: (text: string) => void;
  /** As last written; null on a computer that did not make the cluster, which then is in a cloud. */
  journal: Journal | null;
}

/** Its instances are made and removed here. */
interface LocalScaling extends Scaling {
  journal: Journal;
}

/** In a cloud the leader makes and removes them. */
const isLocal = (s: Scaling): s is LocalScaling => isMadeHere(s.journal);
const isMadeHere = (journal: Journal | null): boolean => journal !== null && journal.cloud === undefined;

export const run: Run = async (call, shell) => {
  const size = call.integer("nodes") ?? 0;
  if (size < 1 || size > sizeMax) {
    throw usage(`--nodes ${size}: a number from 1 to ${sizeMax} is expected`, "3 survive the loss of one, 5 of two, 7 of three");
  }
  const connection = await connect(call, shell);
  const { name } = connection.context.cluster;
  const record = await recordOf(connection, shell.home);
  const progress = follow(shell);
  const withinMs = call.duration("timeout") ?? (isMadeHere(record.journal) ? nodeWaitMs : machineWaitMs);
  const scaling: Scaling = { shell, connection, ...record, withinMs, say: (text) => progress.say(text) };
  const work = () => scale(scaling, size);
  // The lock guards this computer's record of the cluster. Without one all that is changed is in the log.
  const changes = record.journal === null ? await work() : await withClusterLock(record.folder, "cluster scale", work);
  connection.close();
  progress.end();
  printResult(call, shell, { name, size, ...changes }, summary(name, size, changes));
  return exit.done;
};

/** Only the instances of a cluster in a cloud are managed without the journal: by its leader. */
async function recordOf(connection: Connection, home: string): Promise<Pick<Scaling, "journal" | "folder">> {
  const { name } = connection.context.cluster;
  const folder = clusterFolder(home, name);
  if ((await readJournal(folder.journal)) !== null) return requireJournal(home, name);
  const { provider: place } = await connection.api.call<ClusterAnswer>("GET", "/v1/cluster");
  return place === "local" ? requireJournal(home, name) : { journal: null, folder };
}

interface Changes {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

function summary(name: string, size: number, { added, removed }: Changes): string {
  if (added.length + removed.length === 0) return `${name} has ${counted(size, "node")} already`;
  const parts = [
    added.length === 0 ? "" : `added ${added.join(", ")}`,
    removed.length === 0 ? "" : `removed ${removed.join(", ")}`,
  ];
  return `${name} has ${counted(size, "node")}: ${parts.filter((part) => part !== "").join("; ")}`;
}

async function scale(s: Scaling, size: number): Promise<Changes> {
  const wish = { body: { size }, idempotencyKey: randomUUID(), timeoutMs: s.withinMs };
  const { answer } = await s.connection.api.call<Written>("POST", "/v1/cluster/scale", wish);
  for (const warning of (answer as Partial<ScaleAnswer> | undefined)?.warnings ?? []) s.shell.err(`note: ${warning}\n`);
  const removed: string[] = [];
  const staying = await presentNodes(s);
  for (const name of await surplus(s, staying, size)) {
    await removeNode(s, name);
    removed.push(name);
  }
  const added: string[] = [];
  for (const node of await presentNodes(s)) {
    if (node.duty !== "joining") continue;
    await addNode(s, node);
    added.push(node.name);
  }
  if (isLocal(s)) await dropLeftovers(s);
  else if (s.journal !== null) s.journal = await (await import("../cloud/refresh.ts")).refreshJournal(s, s.journal);
  return { added, removed };
}

async function presentNodes(s: Scaling): Promise<readonly NodeAnswer[]> {
  const { nodes } = await s.connection.api.call<NodesAnswer>("GET", "/v1/nodes", { timeoutMs: s.withinMs });
  return nodes.filter((node) => !node.left).toSorted((a, b) => byNodeName(a.name, b.name));
}

/** Those on their way out already, then those that are drained, then the highest names; a leader among them goes last. */
async function surplus(s: Scaling, nodes: readonly NodeAnswer[], size: number): Promise<readonly string[]> {
  const leaving = nodes.filter((node) => node.duty === "shutting-down");
  const idle = new Set(["draining", "decommissioned"]);
  const candidates = nodes
    .filter((node) => node.duty !== "shutting-down")
    .toSorted((a, b) => Number(idle.has(b.duty)) - Number(idle.has(a.duty)) || byNodeName(b.name, a.name));
  const over = candidates.slice(0, Math.max(0, candidates.length - size)).map((node) => node.name);
  const { leader } = await viewCluster(s.connection, s.shell.home);
  const ordered = [...over.filter((name) => name !== leader), ...over.filter((name) => name === leader)];
  return [...leaving.map((node) => node.name), ...ordered];
}

async function removeNode(s: Scaling, name: string): Promise<void> {
  const reason = "cluster scale";
  const node = (await presentNodes(s)).find((candidate) => candidate.name === name);
  // A node that never joined carries nothing: it needs no drain, and no quorum counts on it.
  const joined = node !== undefined && node.duty !== "joining";
  if (joined && node.duty !== "shutting-down") {
    s.say(`draining ${name}`);
    await drain(s.connection.api, name, { reason, detached: false, withinMs: s.withinMs, say: s.say });
  }
  s.say(`shutting down ${name}`);
  await shutDown(s.connection.api, name, { force: !joined, reason, withinMs: s.withinMs, say: s.say });
  if (isLocal(s)) s.journal = await releaseNode(s.shell.home, s.folder, s.journal, name, "delete", s.say);
  else await (await import("../cloud/cloud-scale.ts")).awaitRemoved(s, name);
  await forgetNode(s, name);
}

/** In a cloud the leader may have been first. */
async function forgetNode({ connection: { api } }: Scaling, id: string): Promise<void> {
  try {
    await api.call("POST", "/v1/commands", { body: { type: "ForgetNode", id }, idempotencyKey: randomUUID() });
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== exit.notFound) throw error;
  }
}

/** Identity into the journal, certificate, instance, and then until the node is on duty. */
async function addNode(s: Scaling, row: NodeAnswer): Promise<void> {
  s.say(`adding ${row.name}`);
  if (!isLocal(s)) return (await import("../cloud/cloud-scale.ts")).awaitAdded(s, row.name);
  const { identity } = s.journal;
  if (identity === null) throw new Failure(exit.rejected, `${s.journal.name} has no identity yet`, "finish its bootstrap first");
  const cloud = localProvider(s.journal.name, s.folder);
  const known = identity.nodes.find((node) => node.name === row.name);
  const node = known ?? (await decideNode(s, row, identity.nodes));
  const secret = reveal(await findSecret(s.journal, s.folder, s.shell));
  const authority = await openAuthority(s.folder.pki, identity.clusterId, s.journal.name, secret);
  await issueMember(authority, node.name);
  for (const old of await provider(cloud.compute.list({ ...clusterLabels(s.journal.name), [labelKeys.node]: node.name }))) {
    // Left behind by an earlier node of this name; its member id is void.
    if (known === undefined) await provider(cloud.compute.delete(old.id));
  }
  await provider(cloud.compute.ensure(instanceSpec(s.journal, identity.clusterId, node, s.folder)));
  await awaitDaemons(cloud, s.connection, [node], s.journal.name, s.withinMs, s.say);
  const wait = { api: s.connection.api, name: node.name, what: `${node.name} is on duty`, withinMs: s.withinMs, say: s.say };
  await followNode(wait, (now) => {
    if (now?.duty === "on-duty") return { ready: null };
    return { waiting: `${node.name} is ${now?.duty ?? "not known yet"}` };
  });
}

async function decideNode(s: LocalScaling, row: NodeAnswer, others: readonly JournalNode[]): Promise<JournalNode> {
  const { identity, name, settings } = s.journal;
  if (identity === null) throw new Error("a cluster that scales has an identity");
  const remaining = others.filter((other) => other.name !== row.name);
  const base = settings.basePort === null ? null : settings.basePort + Number(row.name.replace(/\D+/g, "")) - 1;
  const [address] = await chooseAddresses(s.folder, name, 1, base);
  if (address === undefined) throw new Error("one address was asked for");
  const seeds: Seed[] = remaining.map(({ name: seed, member, address: at }) => ({ name: seed, member, address: at }));
  const node: JournalNode = { name: row.name, member: row.member, address, seeds };
  s.journal = { ...s.journal, identity: { ...identity, nodes: [...remaining, node] } };
  await writeJournal(s.folder.journal, s.journal);
  const where = { folder: s.folder.pki, caFile: caFile(s.folder.pki), clusterId: identity.clusterId };
  await saveContext(s.shell.home, contextFor(s.journal, where), false);
  return node;
}

/** Nodes that left while nobody watched: an interrupted shrink has removed them from the cluster but not from this computer. */
async function dropLeftovers(s: LocalScaling): Promise<void> {
  const present = new Set((await presentNodes(s)).map((node) => node.name));
  for (const node of s.journal.identity?.nodes ?? []) {
    if (!present.has(node.name)) s.journal = await releaseNode(s.shell.home, s.folder, s.journal, node.name, "delete", s.say);
  }
}
