/** `aether cloud orphans`: instances with Aether's labels that no cluster known here claims. They cost money, and nobody looks after them. */
import { labelKeys } from "@aether/cloud/labels";
import type { Instance } from "@aether/cloud/provider";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { readClusterFile } from "../bootstrap/cluster-plan.ts";
import { provider } from "../cluster/provider-call.ts";
import { counted } from "../shell/counted.ts";
import { confirmByName } from "../shell/confirm.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { printResult } from "../shell/result.ts";
import type { Shell } from "../shell/shell.ts";
import { humanDuration, renderTable, type Column } from "../shell/table.ts";
import { cloudProvider } from "./cloud-provider.ts";
import { knownClusters, type KnownClusters } from "./known-clusters.ts";
import { costText, estimateFor } from "./prices.ts";
import { sideBySide } from "./side-by-side.ts";

export interface Orphan {
  readonly provider: string;
  readonly cluster: string;
  readonly clusterId: string;
  readonly node: string;
  readonly id: string;
  readonly state: string;
  readonly zone: string;
  readonly size: string;
  readonly createdAt: number;
  /** Of one such machine, with its date and source; "unknown" where no list has it. */
  readonly cost: string;
  /** Why nobody claims it. */
  readonly why: string;
}

interface Found extends Orphan {
  readonly settings: CloudSettings;
  readonly instance: Instance;
}

export const run: Run = async (call, shell) => {
  const file = call.text("config");
  const plan = file === undefined ? null : (await readClusterFile(file, shell)).result;
  const known = await knownClusters(shell);
  const places = plan === null ? known.places : plan.cloud === null ? [] : [plan.cloud];
  if (places.length === 0) {
    const hint = "--config FILE says where to look: any cluster file with that provider and region";
    throw new Failure(exit.notFound, "no cluster in a cloud is known here", hint);
  }
  const found: Found[] = [];
  for (const settings of places) found.push(...(await orphansAt(settings, known, shell)));
  const shown = found.map(({ settings: _where, instance: _what, ...orphan }) => orphan);
  if (!call.switched("delete")) {
    if (call.output === "json") shell.out(`${JSON.stringify({ orphans: shown })}\n`);
    else shell.out(shown.length === 0 ? "no orphans\n" : renderTable(columns(Date.now()), shown));
    return exit.done;
  }
  const deleted = await deleteOrphans(found, shell, call.switched("yes"));
  printResult(call, shell, { orphans: shown, deleted }, deleted.length === 0 ? "no orphans" : `deleted ${deleted.join(", ")}`);
  return exit.done;
};

async function orphansAt(settings: CloudSettings, known: KnownClusters, shell: Shell): Promise<readonly Found[]> {
  // Lists ask for labels alone; the name of a cluster only matters where something is made or deleted.
  const cloud = cloudProvider("orphans", settings, shell);
  const instances = await provider(cloud.compute.list({ [labelKeys.managed]: "true" }));
  return instances.flatMap((instance) => {
    const why = whyOrphan(instance, known);
    if (why === null) return [];
    const { labels } = instance;
    const size = String(instance.facts["size"] ?? "");
    return [
      {
        provider: settings.provider,
        cluster: labels[labelKeys.cluster] ?? "",
        clusterId: labels[labelKeys.clusterId] ?? "",
        node: labels[labelKeys.node] ?? instance.name,
        id: instance.id,
        state: instance.rawState,
        zone: instance.zone ?? "",
        size,
        createdAt: instance.createdAt,
        cost: costText(estimateFor(settings.provider, size, (instance.publicIps?.length ?? 0) > 0), 1),
        why,
        settings,
        instance,
      },
    ];
  });
}

/** Null when a cluster claims it, or could. */
export function whyOrphan(instance: Pick<Instance, "id" | "labels">, known: KnownClusters): string | null {
  const id = instance.labels[labelKeys.clusterId] ?? "";
  const cluster = known.clusters.get(id);
  if (cluster === undefined) return "no cluster of this id is known here";
  if (cluster.claimed === null) return null;
  if (cluster.claimed.has(instance.id)) return null;
  const node = instance.labels[labelKeys.node] ?? "";
  // The leader may have been told of it by the vendor a moment after we were.
  return cluster.unsettled.has(node) ? null : `its cluster runs, and does not know this instance as ${node}`;
}

const columns = (now: number): readonly Column<Orphan>[] => [
  { title: "CLUSTER", cell: ({ cluster }) => cluster },
  { title: "NODE", cell: ({ node }) => node },
  { title: "ID", cell: ({ id }) => id },
  { title: "STATE", cell: ({ state }) => state },
  { title: "ZONE", cell: ({ zone }) => zone },
  { title: "SIZE", cell: ({ size }) => size },
  { title: "AGE", cell: ({ createdAt }) => humanDuration(Math.max(0, now - createdAt)), right: true },
  { title: "COST (ESTIMATE)", cell: ({ cost }) => cost },
  { title: "WHY", cell: ({ why }) => why },
];

/** Asks for each cluster by its name. */
async function deleteOrphans(found: readonly Found[], shell: Shell, yes: boolean): Promise<readonly string[]> {
  const deleted: string[] = [];
  for (const id of new Set(found.map(({ clusterId, provider: name }) => `${name} ${clusterId}`))) {
    const group = found.filter((one) => `${one.provider} ${one.clusterId}` === id);
    const [first] = group;
    if (first === undefined) throw new Error("a group has members");
    const names = group.map(({ node }) => node).join(", ");
    const whose = `cluster ${first.cluster}, id ${first.clusterId || "none"}, at ${first.provider}`;
    const what = `this deletes ${counted(group.length, "instance")} (${names}) of ${whose}`;
    await confirmByName(shell, what, first.cluster, yes);
    const { compute } = cloudProvider(first.cluster, first.settings, shell);
    await sideBySide(group, ({ instance }) => provider(compute.delete(instance.id)));
    deleted.push(...group.map(({ id: instance }) => instance));
  }
  return deleted;
}
