/** What a new virtual machine is to be, in the vendor's words: machine, disk, card and public address in one call. */
import { createHash } from "node:crypto";
import { bookedLabels, cloudSpecFault, instanceName } from "../derivation.ts";
import type { InstanceSpec, Labels, MachineSpec } from "../provider.ts";
import { fault } from "./failure.ts";

/** The body of PUT virtualMachines, but for the user data. Everything that is made with it is deleted with it. */
export interface CreateMachine {
  readonly location: string;
  readonly zones?: readonly string[];
  readonly tags: Labels;
  readonly identity?: { readonly type: "UserAssigned"; readonly userAssignedIdentities: Readonly<Record<string, object>> };
  readonly properties: {
    readonly hardwareProfile: { readonly vmSize: string };
    readonly priority?: "Spot";
    readonly evictionPolicy?: "Delete";
    readonly billingProfile?: { readonly maxPrice: number };
    readonly storageProfile: { readonly imageReference: ImageReference; readonly osDisk: object };
    readonly osProfile: { readonly computerName: string; readonly adminUsername: string; readonly linuxConfiguration: object };
    readonly networkProfile: { readonly networkApiVersion: string; readonly networkInterfaceConfigurations: readonly object[] };
    readonly proximityPlacementGroup?: { readonly id: string };
  };
}

export type ImageReference =
  | { readonly id: string }
  | { readonly publisher: string; readonly offer: string; readonly sku: string; readonly version: string };

export interface Place {
  readonly cluster: string;
  readonly region: string;
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly adminUser: string;
}

/** The vendor's limit, before base64. */
export const userDataBytesMax = 65_535;

/** Throws a CloudFailure Invalid for a wish that the vendor cannot be asked for. */
export function createBody(
  place: Place,
  spec: InstanceSpec,
  op: string,
): { readonly name: string; readonly body: CreateMachine } {
  const invalid = (message: string) => fault({ _tag: "Invalid", op, message });
  if (spec.key.cluster !== place.cluster) throw invalid(`this provider serves ${place.cluster}, not ${spec.key.cluster}`);
  const wrong = cloudSpecFault(spec, userDataBytesMax);
  if (wrong !== null || spec.machine === undefined) throw invalid(wrong ?? "no machine");
  const { machine } = spec;
  const misfit = machineFault(machine);
  if (misfit !== null) throw invalid(misfit);
  const image = imageReference(machine.image);
  if (image === null)
    throw invalid(`${machine.image} is no image: publisher:offer:sku:version, or an id from /subscriptions/ on`);
  const zone = machine.zone === undefined ? null : zoneNumber(machine.zone, place.region);
  if (zone === "none") throw invalid(`${machine.zone ?? ""} is no zone of ${place.region}: 1, 2 or 3`);
  const name = instanceName(spec.key);
  const body: CreateMachine = {
    location: place.region,
    ...(zone === null ? {} : { zones: [zone] }),
    tags: bookedLabels(spec),
    ...identityPart(place, machine),
    properties: {
      hardwareProfile: { vmSize: machine.size },
      ...(machine.spot === true ? { priority: "Spot", evictionPolicy: "Delete", billingProfile: { maxPrice: -1 } } : {}),
      storageProfile: {
        imageReference: image,
        osDisk: { createOption: "FromImage", deleteOption: "Delete", managedDisk: { storageAccountType: "StandardSSD_LRS" } },
      },
      osProfile: {
        computerName: name,
        adminUsername: place.adminUser,
        linuxConfiguration: login(place.adminUser, machine.sshKeys),
      },
      networkProfile: { networkApiVersion: "2022-11-01", networkInterfaceConfigurations: [card(place, name, machine)] },
      ...(machine.placementGroup === undefined
        ? {}
        : {
            proximityPlacementGroup: {
              id: resourceId(place, "Microsoft.Compute/proximityPlacementGroups", machine.placementGroup),
            },
          }),
    },
  };
  return { name, body };
}

function machineFault({ networks, firewalls, sshKeys }: MachineSpec): string | null {
  if (networks.length !== 1)
    return `a machine of Azure's is in one subnet, "network/subnet" or its id; given: ${networks.join(", ")}`;
  const parts = networks[0]?.startsWith("/") === true ? null : networks[0]?.split("/");
  if (parts !== null && (parts?.length !== 2 || parts.includes("")))
    return `${networks[0] ?? ""} is no subnet: "network/subnet" or its id`;
  if (firewalls.length > 1) return `one network security group at most: ${firewalls.join(", ")}`;
  const wrong = sshKeys.findIndex((key) => !/^(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/]+=*( .*)?$/.test(key));
  return wrong < 0
    ? null
    : `SSH key ${wrong + 1} is no public key of kind ssh-rsa or ssh-ed25519; Azure knows keys by their text`;
}

/** `publisher:offer:sku:version`, as the vendor's tools write it, or the id of an image. */
export function imageReference(text: string): ImageReference | null {
  if (text.startsWith("/subscriptions/")) return { id: text };
  const parts = text.split(":");
  const [publisher = "", offer = "", sku = "", version = ""] = parts;
  return parts.length === 4 && parts.every((part) => /^\w[\w.-]{0,127}$/.test(part)) ? { publisher, offer, sku, version } : null;
}

/** "2" and "westeurope-2" are the same; null when the vendor is to choose. */
export function zoneNumber(zone: string, region: string): string | null {
  if (zone === region) return null;
  return new RegExp(`^(?:${region}-)?([1-9])$`).exec(zone)?.[1] ?? "none";
}

/** The id of a thing in the resource group, where it is not an id already. */
export const resourceId = (place: Omit<Place, "cluster" | "region" | "adminUser">, type: string, name: string): string =>
  name.startsWith("/")
    ? name
    : `/subscriptions/${place.subscription}/resourceGroups/${place.resourceGroup}/providers/${type}/${name}`;

function subnetId(place: Place, network: string): string {
  if (network.startsWith("/")) return network;
  const [vnet = "", subnet = ""] = network.split("/");
  return `${resourceId(place, "Microsoft.Network/virtualNetworks", vnet)}/subnets/${subnet}`;
}

function identityPart(place: Place, { identity }: MachineSpec): Pick<CreateMachine, "identity"> {
  if (identity === undefined) return {};
  const id = resourceId(place, "Microsoft.ManagedIdentity/userAssignedIdentities", identity);
  return { identity: { type: "UserAssigned", userAssignedIdentities: { [id]: {} } } };
}

function card(place: Place, name: string, { networks, firewalls, publicIp }: MachineSpec): object {
  const [firewall] = firewalls;
  const address = {
    name: `${name}-ip`,
    sku: { name: "Standard" },
    properties: { deleteOption: "Delete", publicIPAllocationMethod: "Static" },
  };
  const security = { networkSecurityGroup: { id: resourceId(place, "Microsoft.Network/networkSecurityGroups", firewall ?? "") } };
  return {
    name: `${name}-nic`,
    properties: {
      primary: true,
      deleteOption: "Delete",
      ...(firewall === undefined ? {} : security),
      ipConfigurations: [
        {
          name: "primary",
          properties: {
            primary: true,
            subnet: { id: subnetId(place, networks[0] ?? "") },
            ...(publicIp ? { publicIPAddressConfiguration: address } : {}),
          },
        },
      ],
    },
  };
}

const login = (user: string, keys: readonly string[]): object => ({
  disablePasswordAuthentication: true,
  ssh: {
    publicKeys: (keys.length === 0 ? [nobodysKey()] : keys).map((keyData) => ({
      path: `/home/${user}/.ssh/authorized_keys`,
      keyData,
    })),
  },
});

/** Chosen so that the digest is a point of the curve, as a key's must be. */
export const nobodysPhrase = "aether: nobody has the private half of this key (0)";

/**
 * The vendor wants a key where passwords are off, and where none is given there is one that opens nothing: its 32 bytes are the
 * digest of a sentence, so that nobody can know the private half, and everybody can see why.
 */
export function nobodysKey(): string {
  const field = (bytes: Uint8Array): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const point = createHash("sha256").update(nobodysPhrase).digest();
  return `ssh-ed25519 ${Buffer.concat([field(Buffer.from("ssh-ed25519")), field(point)]).toString("base64")} nobody`;
}
