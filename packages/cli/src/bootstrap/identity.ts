/** Step 5: who the cluster and its nodes are. Decided once, written down, then made. */
import { randomBytes } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join, dirname } from "node:path";
import { value as reveal, type Redacted } from "effect/Redacted";
import { errnoOf } from "@aether/cloud/local/durable-file";
import { choosePorts } from "@aether/cloud/local/ports";
import type { ClusterFolder } from "../context/home.ts";
import { saveContext, type Context } from "../context/contexts.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import { dialOf, readJournal, type Journal, type JournalNode } from "./journal.ts";
import { issueMember, issuePeople, openAuthority, pairOf, type Authority } from "./pki.ts";
import type { Bootstrap, Did } from "./steps.ts";

export interface Identity {
  readonly clusterId: string;
  readonly nodes: readonly JournalNode[];
  readonly context: Context;
}

/** Cluster id, node names, member ids and ports into the journal; then certificates and the context. */
export async function createIdentity(b: Bootstrap, secret: Redacted): Promise<Did<Identity>> {
  const { steps, folder, plan, shell } = b;
  const found = steps.journal.identity;
  if (found === null) {
    const nodes = await b.maker.chooseNodes(b);
    await steps.write({ identity: { clusterId: randomBytes(16).toString("hex"), nodes } });
  }
  const identity = steps.journal.identity;
  if (identity === null) throw new Error("the identity was just written");
  const authority = await openAuthority(folder.pki, identity.clusterId, plan.name, reveal(secret));
  let issued = (await issuePeople(authority)) ? 2 : 0;
  // A machine in a cloud makes its own key, and gets its certificate when it enrols.
  const local = plan.cloud === null ? identity.nodes : [];
  for (const node of local) if (await issueMember(authority, node.name)) issued += 1;
  const context = contextFor(steps.journal, authority);
  await saveContext(shell.home, context, true);
  const certificates = issued === 0 ? "" : `, ${counted(issued, "certificate")} issued`;
  const detail = `${found === null ? "" : "already there: "}cluster id ${identity.clusterId.slice(0, 8)}…${certificates}`;
  return { result: { clusterId: identity.clusterId, nodes: identity.nodes, context }, detail };
}

/** The operator's context of a journal's cluster. */
export function contextFor(journal: Journal, authority: Pick<Authority, "folder" | "caFile" | "clusterId">): Context {
  return {
    name: journal.name,
    cluster: { id: authority.clusterId, name: journal.name },
    endpoints: (journal.identity?.nodes ?? []).map(dialOf).filter((address) => address !== ""),
    ca: authority.caFile,
    ...pairOf(authority.folder, "operator"),
  };
}

/** Names, numbers and free ports for the nodes of a local cluster. */
export async function chooseNodes(b: Bootstrap): Promise<readonly JournalNode[]> {
  const addresses = await chooseAddresses(b.folder, b.plan.name, b.plan.size, b.plan.settings.basePort);
  const seeds = addresses.map((address, at) => ({ name: `n${at + 1}`, member: at + 1, address }));
  return seeds.map(({ name, member, address }) => ({ name, member, address, seeds }));
}

/** Free loopback addresses that no other cluster of this home has claimed. */
export async function chooseAddresses(
  folder: ClusterFolder,
  name: string,
  count: number,
  base: number | null,
): Promise<readonly string[]> {
  const taken = await claimedPorts(dirname(folder.root));
  const ports = await choosePorts({ count, base, taken, seed: folder.root });
  if (!("fault" in ports)) return ports.map((port) => `127.0.0.1:${port}`);
  throw new Failure(
    exit.failed,
    `no ports for ${name}: ${ports.fault}`,
    base === null ? "end what listens there" : "choose another [local] base_port, or leave it out to have free ones chosen",
  );
}

async function claimedPorts(clusters: string): Promise<ReadonlySet<number>> {
  const ports = new Set<number>();
  for (const name of await listFolders(clusters)) {
    const journal = await readJournal(join(clusters, name, "bootstrap.json"));
    // Of clusters in clouds the ports are on other computers.
    if (journal?.cloud !== undefined) continue;
    for (const { address } of journal?.identity?.nodes ?? []) ports.add(Number(address.split(":")[1]));
  }
  return ports;
}

async function listFolders(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
