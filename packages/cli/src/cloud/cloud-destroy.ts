/** Ends a cluster in a cloud, from its journal or its file and credentials alone: nothing that costs money is left. */
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import type { CloudProvider, Instance, Labels, ManagedCertificate } from "@aether/cloud/provider";
import { sweepInstances } from "@aether/cloud/sweep";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { provider } from "../cluster/provider-call.ts";
import { counted } from "../shell/counted.ts";
import { exit, Failure } from "../shell/failure.ts";
import type { Shell } from "../shell/shell.ts";
import { cloudProvider, cloudSeams, consistencyMs } from "./cloud-provider.ts";
import { sideBySide } from "./side-by-side.ts";

export interface Doomed {
  readonly name: string;
  readonly settings: CloudSettings;
  /** Null when no journal tells it: then all instances of that name must be of one cluster. */
  readonly clusterId: string | null;
  /** How many instances there should be at most. */
  readonly expected: number;
}

/** What would be deleted, as the vendor shows it now. */
export interface Doom {
  readonly instances: readonly Instance[];
  readonly certificates: readonly ManagedCertificate[];
  /** The balancer that the instances are taken out of; the balancer itself is not Aether's and stays. */
  readonly loadBalancer: string | null;
}

/** Looks and deletes nothing. Fails when instances of several clusters have this name and no journal tells which is meant. */
export async function lookAtDoomed(doomed: Doomed, shell: Shell): Promise<Doom> {
  const cloud = cloudProvider(doomed.name, doomed.settings, shell);
  const found = await provider(cloud.compute.list(selectorOf(doomed)));
  const ids = [...new Set(found.map((instance) => instance.labels[labelKeys.clusterId] ?? "none"))];
  if (ids.length > 1) {
    const message = `instances of ${ids.length} clusters are called ${doomed.name}: ids ${ids.join(", ")}`;
    throw new Failure(exit.rejected, message, "destroy it where its journal is, or delete by hand what is yours");
  }
  const { certificates } = cloud;
  const listed = certificates?.list === undefined ? [] : await provider(certificates.list(clusterLabels(doomed.name)));
  return { instances: found, certificates: listed, loadBalancer: doomed.settings.loadBalancer };
}

const selectorOf = ({ name, clusterId }: Doomed): Labels => ({
  ...clusterLabels(name),
  ...(clusterId === null ? {} : { [labelKeys.clusterId]: clusterId }),
});

/** Targets, instances, certificates; then looks until two lists a consistency window apart are empty. */
export async function destroyCloud(doomed: Doomed, shell: Shell, say: (text: string) => void): Promise<void> {
  const cloud = cloudProvider(doomed.name, doomed.settings, shell);
  const { loadBalancer } = doomed.settings;
  if (loadBalancer !== null && cloud.loadBalancers !== undefined) {
    say(`taking the nodes out of ${loadBalancer}`);
    await provider(cloud.loadBalancers.reconcile(loadBalancer, selectorOf(doomed), [])).catch(ignoreAbsent);
  }
  const { name: cluster, clusterId, expected } = doomed;
  say(`deleting ${counted(expected, "instance")}, and looking for more`);
  const wish = { cluster, expected, consistencyMs, ...(clusterId === null ? {} : { clusterId }) };
  await provider(sweepInstances(cloud, wish, cloudSeams(shell).clock)).catch(explainCeiling);
  await deleteCertificates(cloud, doomed.name, say);
}

async function deleteCertificates({ certificates }: CloudProvider, name: string, say: (text: string) => void): Promise<void> {
  if (certificates?.list === undefined) return;
  const listed = await provider(certificates.list(clusterLabels(name)));
  if (listed.length > 0) say(`deleting ${counted(listed.length, "certificate")}`);
  await sideBySide(listed, ({ ref }) => provider(certificates.delete(ref)));
}

/** A balancer that is gone has no targets. */
function ignoreAbsent(error: unknown): void {
  if (!(error instanceof Failure) || error.code !== exit.notFound) throw error;
}

function explainCeiling(error: unknown): never {
  if (!(error instanceof Failure) || !error.message.includes("expected")) throw error;
  throw new Failure(exit.rejected, error.message, "look whose they are; when all are this cluster's: --at-most N");
}
