/** A virtual machine of Azure's as an instance of ours. */
import { bookKeys, withoutBook } from "../derivation.ts";
import { carries, clusterLabels, labelKeys } from "../labels.ts";
import type { Instance, InstanceId, InstanceState } from "../provider.ts";
import type { Card, Machine } from "./shapes.ts";

/** Public addresses by the lower-case ids of their resources, where a card tells only the id. */
export type PublicAddresses = ReadonlyMap<string, string>;

export function describeMachine(machine: Machine, cards: readonly Card[], addresses: PublicAddresses): Instance {
  const { properties, tags = {} } = machine;
  const privateIps = privateIpsOf(cards);
  const publicIps = cards.flatMap(configurationsOf).flatMap(({ publicIPAddress: address }) => {
    const ip = address === undefined ? undefined : (address.properties?.ipAddress ?? addresses.get(address.id.toLowerCase()));
    return ip === undefined ? [] : [ip];
  });
  const host = [...privateIps, ...publicIps][0];
  const port = tags[bookKeys.port];
  return {
    id: instanceId(machine),
    name: tags[labelKeys.node] ?? machine.name,
    state: stateOf(machine),
    rawState: `${properties.provisioningState} ${powerOf(machine) ?? ""}`.trim(),
    address: host === undefined || port === undefined ? "" : `${host.includes(":") ? `[${host}]` : host}:${port}`,
    labels: withoutBook(tags),
    createdAt: Date.parse(properties.timeCreated),
    zone: machine.zones?.[0] ?? machine.location,
    privateIps,
    publicIps,
    facts: { vmId: properties.vmId, hostname: machine.name, size: properties.hardwareProfile.vmSize },
  };
}

export const configurationsOf = ({ properties }: Card) =>
  (properties.ipConfigurations ?? []).flatMap((one) => (one.properties === undefined ? [] : [one.properties]));

export const privateIpsOf = (cards: readonly Card[]): readonly string[] =>
  cards.flatMap(configurationsOf).flatMap(({ privateIPAddress: ip }) => (ip === undefined ? [] : [ip]));

/** The vendor's word after "PowerState/", or null when it was not asked for or is not known yet. */
function powerOf({ properties }: Machine): string | null {
  const codes = (properties.instanceView?.statuses ?? []).map(({ code = "" }) => code);
  return codes.find((code) => code.startsWith("PowerState/"))?.slice("PowerState/".length) ?? null;
}

/**
 * We stop by giving the host back: `deallocated`. So `stopped`, which keeps the host and costs as much as running, is what ended by
 * itself, or was stopped halfway: doing it again finishes it.
 */
function stateOf(machine: Machine): InstanceState {
  const { provisioningState: made } = machine.properties;
  const power = powerOf(machine);
  if (made === "Deleting") return "deleting";
  if (power === "running") return "running";
  if (power === "starting") return "pending";
  if (made === "Failed") return "failed";
  switch (power) {
    case "stopping":
    case "deallocating":
      return "stopping";
    case "deallocated":
      return "stopped";
    case "stopped":
      return "failed";
    default:
      return "pending";
  }
}

export const isDeleting = ({ properties }: Machine): boolean => properties.provisioningState === "Deleting";
export const isFailed = ({ properties }: Machine): boolean => properties.provisioningState === "Failed";
/** Off, and the host given back. */
export const isDeallocated = (machine: Machine): boolean => powerOf(machine) === "deallocated";
/** Off, whether it costs or not. */
export const isOff = (machine: Machine): boolean => isDeallocated(machine) || powerOf(machine) === "stopped";
export const isRunning = (machine: Machine): boolean => powerOf(machine) === "running";

/** Is it one that Aether made for this cluster? */
export const isOf = ({ tags = {} }: Machine, cluster: string): boolean => carries(tags, clusterLabels(cluster));

/** A name may be taken again; the number that the vendor gives with it is never given twice. */
export const instanceId = ({ name, properties }: Machine): InstanceId =>
  `${name.toLowerCase()}.${properties.vmId.toLowerCase()}` as InstanceId;

/** Null for what can be no id of this provider's. */
export function idParts(id: InstanceId): { readonly name: string; readonly vmId: string } | null {
  const [, name, vmId] = /^([a-z0-9][a-z0-9-]{0,62})\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/.exec(id) ?? [];
  return name === undefined || vmId === undefined ? null : { name, vmId };
}
