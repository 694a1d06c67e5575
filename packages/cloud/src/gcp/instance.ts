/** A virtual machine of Google's as an instance of ours. */
import { bookKeys, withoutBook } from "../derivation.ts";
import { carries, clusterLabels, labelKeys } from "../labels.ts";
import type { Instance, InstanceId, InstanceState, Labels } from "../provider.ts";
import type { Place } from "./compute-api.ts";
import { lastPart, type GcpInstance } from "./shapes.ts";

/** What an id says: where, called what, and which of all that ever were called so. */
export interface GcpId extends Place {
  readonly number: string;
}

export const idOf = ({ zone, name, id }: GcpInstance): InstanceId => `${lastPart(zone)}/${name}/${id}` as InstanceId;

/** Null for what cannot be one. */
export function partsOf(id: InstanceId): GcpId | null {
  const parts = /^([a-z]+-[a-z]+\d+-[a-z])\/([a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)\/([1-9]\d{0,19})$/.exec(id);
  const [, zone, name, number] = parts ?? [];
  return zone === undefined || name === undefined || number === undefined ? null : { zone, name, number };
}

export const labelsOf = (instance: GcpInstance): Labels => instance.labels ?? {};

export function describeInstance(instance: GcpInstance): Instance {
  const interfaces = instance.networkInterfaces ?? [];
  const privateIps = interfaces.flatMap(({ networkIP }) => (networkIP === undefined ? [] : [networkIP]));
  const publicIps = interfaces.flatMap(({ accessConfigs = [] }) =>
    accessConfigs.flatMap(({ natIP }) => (natIP === undefined ? [] : [natIP])),
  );
  const labels = labelsOf(instance);
  const host = [...privateIps, ...publicIps][0];
  const port = labels[bookKeys.port];
  return {
    id: idOf(instance),
    name: labels[labelKeys.node] ?? instance.name,
    state: stateOf(instance),
    rawState: instance.status,
    address: host === undefined || port === undefined ? "" : `${host}:${port}`,
    labels: withoutBook(labels),
    createdAt: Date.parse(instance.creationTimestamp),
    zone: lastPart(instance.zone),
    privateIps,
    publicIps,
    facts: { instance: instance.id, hostname: instance.name, size: lastPart(instance.machineType) },
  };
}

/**
 * The vendor says TERMINATED of what was stopped, of what ended by itself and of a spot machine that it took away; our label tells
 * the first from the others. A new word is no evidence that it is gone.
 */
function stateOf(instance: GcpInstance): InstanceState {
  const isStopped = isMeantOff(instance);
  switch (instance.status) {
    case "RUNNING":
      return isStopped ? "stopping" : "running";
    case "STOPPING":
    case "SUSPENDING":
    case "PENDING_STOP":
      return "stopping";
    case "TERMINATED":
    case "STOPPED":
    case "SUSPENDED":
      return isStopped ? "stopped" : "failed";
    case "DEPROVISIONING":
      return "deleting";
    default:
      // PROVISIONING, STAGING, REPAIRING
      return "pending";
  }
}

/** Has Aether switched it off? */
export const isMeantOff = (instance: GcpInstance): boolean => labelsOf(instance)[bookKeys.power] === "off";

/** Is it one that Aether made for this cluster? */
export const isOf = (instance: GcpInstance, cluster: string): boolean => carries(labelsOf(instance), clusterLabels(cluster));
