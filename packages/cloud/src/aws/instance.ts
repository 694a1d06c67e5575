/** An instance of EC2's as one of ours. */
import { bookKeys, withoutBook } from "../derivation.ts";
import { carries, clusterLabels, labelKeys } from "../labels.ts";
import type { Instance, InstanceId, InstanceState } from "../provider.ts";
import type { Ec2Instance } from "./ec2.ts";

/** What exists; what is `terminated` stays in lists for an hour and is gone all the same. */
export const livingStates: readonly string[] = ["pending", "running", "stopping", "stopped", "shutting-down"];

export function describeInstance(instance: Ec2Instance): Instance {
  const { Name: hostname = "", ...tags } = instance.labels;
  const host = instance.privateIp === "" ? instance.publicIp : instance.privateIp;
  const port = tags[bookKeys.port];
  return {
    id: instance.id as InstanceId,
    name: tags[labelKeys.node] ?? hostname,
    state: stateOf(instance),
    rawState: instance.state,
    address: host === "" || port === undefined ? "" : `${host}:${port}`,
    labels: withoutBook(tags),
    createdAt: instance.createdAt,
    zone: instance.zone,
    privateIps: instance.privateIp === "" ? [] : [instance.privateIp],
    publicIps: instance.publicIp === "" ? [] : [instance.publicIp],
    facts: { instanceId: instance.id, hostname, size: instance.size },
  };
}

function stateOf({ state, reason }: Ec2Instance): InstanceState {
  switch (state) {
    case "running":
      return "running";
    case "stopping":
      return "stopping";
    case "stopped":
      // Stopped through the API, by whomever, is stopped; by its own guest or by the vendor is ended by itself.
      return reason === "" || reason.startsWith("Client.User") ? "stopped" : "failed";
    case "shutting-down":
    case "terminated":
      return "deleting";
    default:
      return "pending";
  }
}

/** Is it one that Aether made for this cluster? */
export const isOf = (instance: Ec2Instance, cluster: string): boolean => carries(instance.labels, clusterLabels(cluster));
