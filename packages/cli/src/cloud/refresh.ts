/** Brings this computer's record of a cluster in a cloud up to what the log and the vendor say: nodes come and go by the leader's hand. */
import { labelKeys } from "@aether/cloud/labels";
import { reachableAt } from "@aether/cloud/machine";
import type { Instance } from "@aether/cloud/provider";
import { contextFor } from "../bootstrap/identity.ts";
import { writeJournal, type Journal, type JournalNode } from "../bootstrap/journal.ts";
import { caFile } from "../bootstrap/pki.ts";
import { ownLabels, provider, providerFor } from "../cluster/provider-call.ts";
import type { InstanceAnswer, InstancesAnswer, NodesAnswer } from "../context/api.ts";
import type { Connection } from "../context/connection.ts";
import { saveContext } from "../context/contexts.ts";
import type { ClusterFolder } from "../context/home.ts";
import type { Shell } from "../shell/shell.ts";

export interface Managed {
  readonly shell: Shell;
  readonly folder: ClusterFolder;
}

/** The nodes of the membership, with their machines. Writes journal and context; resolves with the journal as written. */
export async function refreshJournal(m: Managed & { readonly connection: Connection }, journal: Journal): Promise<Journal> {
  const { api } = m.connection;
  const { nodes } = await api.call<NodesAnswer>("GET", "/v1/nodes");
  const { instances } = await api.call<InstancesAnswer>("GET", "/v1/instances");
  const found = await vendorMachines(m, journal);
  const known = nodes
    .filter(({ left }) => !left)
    .map(({ name, member, address }): JournalNode => {
      const before = journal.identity?.nodes.find((node) => node.name === name);
      const instance = found.get(name);
      const row = instances.find(({ node }) => node === name);
      return withMachine({ name, member, address: address ?? "", seeds: before?.seeds ?? [] }, before, row, instance, journal);
    });
  return writeNodes(m, journal, known);
}

function withMachine(
  node: JournalNode,
  before: JournalNode | undefined,
  row: InstanceAnswer | undefined,
  instance: Instance | undefined,
  { cloud }: Journal,
): JournalNode {
  const address = instance === undefined || instance.address === "" ? node.address : instance.address;
  const dial = instance === undefined || cloud === undefined ? null : reachableAt(instance, cloud.nodePort);
  const machine = {
    attempt: row?.attempt ?? before?.machine?.attempt ?? 1,
    zone: row?.zone ?? before?.machine?.zone ?? "",
    size: row?.size ?? before?.machine?.size ?? "",
    instance: instance?.id ?? before?.machine?.instance ?? null,
    dial: dial ?? before?.machine?.dial ?? null,
  };
  return { ...node, address, machine };
}

/** Where the machines are now, without asking the cluster: also when none of its nodes answers. */
export async function refreshAddresses(m: Managed, journal: Journal): Promise<Journal> {
  const found = await vendorMachines(m, journal);
  const nodes = journal.identity?.nodes ?? [];
  return writeNodes(
    m,
    journal,
    nodes.map((node) => withMachine(node, node, undefined, found.get(node.name), journal)),
  );
}

async function vendorMachines({ shell, folder }: Managed, journal: Journal): Promise<ReadonlyMap<string, Instance>> {
  const cloud = await providerFor(journal, folder, shell);
  const found = await provider(cloud.compute.list(ownLabels(journal)));
  return new Map(found.map((instance) => [instance.labels[labelKeys.node] ?? instance.name, instance]));
}

async function writeNodes({ shell, folder }: Managed, journal: Journal, nodes: readonly JournalNode[]): Promise<Journal> {
  if (journal.identity === null) return journal;
  const { clusterId } = journal.identity;
  const next: Journal = { ...journal, identity: { clusterId, nodes } };
  await writeJournal(folder.journal, next);
  await saveContext(shell.home, contextFor(next, { folder: folder.pki, caFile: caFile(folder.pki), clusterId }), false);
  return next;
}
