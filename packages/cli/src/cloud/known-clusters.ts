/** Which clusters this computer knows, by journals and contexts, and which machines those that answer call their own. */
import { readdir } from "node:fs/promises";
import { errnoOf } from "@aether/cloud/local/durable-file";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { readJournal } from "../bootstrap/journal.ts";
import type { InstancesAnswer } from "../context/api.ts";
import { connectContext } from "../context/connection.ts";
import { readContexts, type Context } from "../context/contexts.ts";
import { clusterFolder, clustersFolder } from "../context/home.ts";
import { Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";

export interface KnownCluster {
  /** The vendor's names of its machines; null when no member could say: then all that carry its id are taken for its own. */
  readonly claimed: ReadonlySet<string> | null;
  /** Nodes for which a machine is being made or removed. */
  readonly unsettled: ReadonlySet<string>;
}

export interface KnownClusters {
  readonly clusters: ReadonlyMap<string, KnownCluster>;
  /** Accounts and regions of those in clouds, each once. */
  readonly places: readonly CloudSettings[];
}

const askMs = 3_000;
const settled: ReadonlySet<string> = new Set(["accepted", "running", "enrolled", "stopped", "gone"]);

/** A journal that cannot be read throws: what it claims must not be taken for forgotten. */
export async function knownClusters(shell: Shell): Promise<KnownClusters> {
  const clusters = new Map<string, KnownCluster>();
  const places = new Map<string, CloudSettings>();
  for (const name of await folders(clustersFolder(shell.home))) {
    const journal = await readJournal(clusterFolder(shell.home, name).journal);
    if (journal?.identity != null) clusters.set(journal.identity.clusterId, { claimed: null, unsettled: new Set() });
    if (journal?.cloud === undefined) continue;
    const { provider, region, aws, gcp, azure } = journal.cloud;
    places.set(
      JSON.stringify([provider, region, aws.profile, gcp.project, azure.subscription, azure.resource_group]),
      journal.cloud,
    );
  }
  const { contexts } = await readContexts(shell.home);
  const asked = await Promise.all(contexts.map(async (context) => [context.cluster.id, await claimsOf(context)] as const));
  for (const [id, cluster] of asked) clusters.set(id, cluster);
  return { clusters, places: [...places.values()] };
}

async function claimsOf(context: Context): Promise<KnownCluster> {
  const unknown = { claimed: null, unsettled: new Set<string>() };
  if (context.endpoints.length === 0) return unknown;
  try {
    const connection = await connectContext(context);
    try {
      const { instances } = await connection.api.call<InstancesAnswer>("GET", "/v1/instances", { timeoutMs: askMs });
      // None: its bootstrap has not handed them over yet.
      if (instances.length === 0) return unknown;
      return {
        claimed: new Set(instances.flatMap(({ id, state }) => (id === null || state === "gone" ? [] : [id]))),
        unsettled: new Set(instances.flatMap(({ node, state }) => (settled.has(state) ? [] : [node]))),
      };
    } finally {
      connection.close();
    }
  } catch (error) {
    if (error instanceof Failure) return unknown;
    throw error;
  }
}

async function folders(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
