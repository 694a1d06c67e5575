/** From the settings of a cluster to the machine of one node, in the words that its provider takes. Pure. */
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import type { Instance, MachineSpec } from "./provider.ts";

/**
 * By each vendor's name for it, with systemd, cloud-init and curl: Debian 12, but on GCP, whose Debian comes without cloud-init, and on Azure,
 * whose documentation promises cloud-init of Ubuntu's images and of no Debian after 10.
 */
const images: Readonly<Record<CloudSettings["provider"], string>> = {
  hetzner: "debian-12",
  aws: "debian-12",
  gcp: "ubuntu-os-cloud/ubuntu-2404-lts-amd64",
  azure: "Canonical:ubuntu-24_04-lts:server:latest",
};

export const imageOf = (settings: CloudSettings): string => settings.image ?? images[settings.provider];

/** The wanted size first, then those to try where there is no room for it. Never empty. */
export const sizesOf = (settings: CloudSettings): readonly string[] => [
  settings.instanceType,
  ...settings.otherInstanceTypes.filter((size) => size !== settings.instanceType),
];

/**
 * Where nodes are spread over, the first ones first; never empty. A zone that is the region itself leaves the choice to the vendor. Of
 * gcp's zones those are taken that all of its regions have: some lack an `a`.
 */
export function zonesOf({ provider, region, zones }: CloudSettings): readonly string[] {
  if (zones.length > 0) return zones;
  return provider === "gcp" ? [`${region}-b`, `${region}-c`] : [region];
}

/** Throws a RangeError for a zone that is not one of {@link zonesOf}. */
export function machineOf(settings: CloudSettings, where: { readonly zone: string; readonly size: string }): MachineSpec {
  const at = zonesOf(settings).indexOf(where.zone);
  if (at < 0) throw new RangeError(`${where.zone} is none of the zones ${zonesOf(settings).join(", ")}`);
  const { provider, region, publicIp, spot } = settings;
  const isPlace = provider === "hetzner" || where.zone !== region;
  return {
    size: where.size,
    image: imageOf(settings),
    publicIp,
    ...(isPlace ? { zone: where.zone } : {}),
    ...(spot ? { spot } : {}),
    ...vendorParts[provider](settings, at),
  };
}

type VendorParts = Pick<MachineSpec, "networks" | "firewalls" | "sshKeys" | "placementGroup" | "identity">;
const some = (text: string | undefined): readonly string[] => (text === undefined ? [] : [text]);
const identity = (name: string | undefined) => (name === undefined ? {} : { identity: name });

const vendorParts: Readonly<Record<CloudSettings["provider"], (settings: CloudSettings, zoneAt: number) => VendorParts>> = {
  hetzner: ({ hetzner: h, sshKeys }) => ({
    networks: some(h.network),
    firewalls: h.firewalls,
    sshKeys,
    ...(h.placement_group === undefined ? {} : { placementGroup: h.placement_group }),
  }),
  aws: ({ aws, sshKeys }, zoneAt) => ({
    networks: some(aws.subnets[zoneAt]),
    firewalls: aws.security_groups,
    sshKeys: aws.key_name === undefined ? sshKeys : [aws.key_name],
    ...identity(aws.instance_profile),
  }),
  // What lets traffic through is a rule for a network tag.
  gcp: ({ gcp, sshKeys }) => ({
    networks: some(gcp.subnet ?? (gcp.network === undefined ? undefined : gcpNetwork(gcp.network))),
    firewalls: gcp.tags,
    sshKeys,
    ...identity(gcp.service_account),
  }),
  azure: ({ azure, sshKeys }) => ({
    networks: [azureSubnet(azure)],
    firewalls: some(azure.security_group),
    sshKeys,
    ...identity(azure.identity),
  }),
};

/** Where a computer outside reaches the daemon, "host:port": the public address if there is one, else the private one. Null without any. */
export function reachableAt({ publicIps = [], privateIps = [] }: Instance, port: number): string | null {
  const host = [...publicIps, ...privateIps][0];
  if (host === undefined) return null;
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** A name alone would be taken for a subnet's. */
const gcpNetwork = (network: string): string => (network.includes("/") ? network : `global/networks/${network}`);

/** "network/subnet" in the resource group, or the id of one elsewhere. */
const azureSubnet = ({ vnet = "aether", subnet = "default" }: CloudSettings["azure"]): string =>
  subnet.startsWith("/") ? subnet : `${vnet}/${subnet}`;
