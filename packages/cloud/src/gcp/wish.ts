/** A wish for an instance, as the vendor wants to have it said. */
import { value as reveal } from "effect/Redacted";
import { bookedLabels, cloudSpecFault, instanceName } from "../derivation.ts";
import type { CloudFailure } from "../failure.ts";
import type { InstanceSpec, MachineSpec } from "../provider.ts";
import type { InsertInstance } from "./compute-api.ts";
import { fault } from "./failure.ts";
import { regionOf } from "./zones.ts";

/** The vendor's limit of one value in an instance's metadata. */
const userDataBytesMax = 256 * 1024;

export interface Wish {
  readonly zone: string;
  readonly body: InsertInstance;
}

export interface WishPlace {
  readonly cluster: string;
  readonly region: string;
  /** In order; the first where the spec names none. */
  readonly zones: readonly string[];
}

/** Throws Invalid, before anything is asked of the vendor. */
export function wishOf(place: WishPlace, project: string, spec: InstanceSpec, op: string): Wish {
  const invalid = (message: string): CloudFailure => fault({ _tag: "Invalid", op, message });
  if (spec.key.cluster !== place.cluster) throw invalid(`this provider serves ${place.cluster}, not ${spec.key.cluster}`);
  const wrong = cloudSpecFault(spec, userDataBytesMax);
  if (wrong !== null || spec.machine === undefined) throw invalid(wrong ?? "no machine");
  const { machine } = spec;
  const name = instanceName(spec.key);
  if (!/^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) throw invalid(`${name} is no name of an instance on GCP`);
  const zone = machine.zone ?? place.zones[0];
  if (zone === undefined || regionOf(zone) !== place.region) throw invalid(`${zone ?? "none"} is no zone of ${place.region}`);
  const odd = machineFault(machine);
  if (odd !== null) throw invalid(odd);
  const { tags, identity } = { tags: machine.firewalls, identity: machine.identity };
  return {
    zone,
    body: {
      name,
      machineType: `zones/${zone}/machineTypes/${machine.size}`,
      labels: bookedLabels(spec),
      metadata: { items: [{ key: "user-data", value: reveal(spec.userData) }, ...sshItem(machine.sshKeys)] },
      disks: [
        {
          boot: true,
          autoDelete: true,
          // A disk that is left over is found by the same labels.
          initializeParams: { sourceImage: imagePath(machine.image, project), labels: spec.labels },
        },
      ],
      networkInterfaces: [interfaceOf(machine, place.region)],
      ...(tags.length === 0 ? {} : { tags: { items: tags } }),
      ...(identity === undefined ? {} : { serviceAccounts: [{ email: identity, scopes: [everything] }] }),
      ...(machine.spot === true ? { scheduling: { provisioningModel: "SPOT", instanceTerminationAction: "STOP" } } : {}),
      ...(machine.placementGroup === undefined ? {} : { resourcePolicies: [policyPath(machine.placementGroup, place.region)] }),
    },
  };
}

/** What a service account may do is for its roles to say; a narrower scope would only confuse. */
const everything = "https://www.googleapis.com/auth/cloud-platform";

const named = /^[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const pathed = /^[a-z0-9][a-z0-9.:-]*(?:\/[A-Za-z0-9][A-Za-z0-9._:-]*)+$/;

function machineFault({ size, image, networks, firewalls, sshKeys, placementGroup }: MachineSpec): string | null {
  if (!/^[a-z][a-z0-9-]{1,62}$/.test(size)) return `${JSON.stringify(size)} is no machine type`;
  if (!named.test(image) && !pathed.test(image)) return `${JSON.stringify(image)} is no image: say project/family or a path`;
  if (networks.length > 1) return `one network or subnet at most: ${networks.join(", ")}`;
  const strange = networks.find((one) => !named.test(one) && !pathed.test(one));
  if (strange !== undefined) return `${JSON.stringify(strange)} is no subnet`;
  const tag = firewalls.find((one) => !named.test(one));
  if (tag !== undefined) return `${JSON.stringify(tag)} is no network tag; firewall rules on GCP find their machines by tags`;
  const key = sshKeys.find((one) => !/^[a-z_][a-z0-9_-]{0,31}:(ssh|ecdsa|sk)-[^\n]+$/.test(one));
  if (key !== undefined) return "an SSH key on GCP is a user's name, a colon and a public key";
  if (placementGroup !== undefined && !named.test(placementGroup))
    return `${JSON.stringify(placementGroup)} is no placement policy`;
  return null;
}

const sshItem = (keys: readonly string[]) => (keys.length === 0 ? [] : [{ key: "ssh-keys", value: keys.join("\n") }]);

/**
 * An image as people say it: "project/family" is the newest of a family, as "ubuntu-os-cloud/ubuntu-2404-lts-amd64"; a name alone is
 * an image of the cluster's own project; what begins with "projects/" is taken as it is.
 */
export function imagePath(image: string, project: string): string {
  if (image.startsWith("projects/")) return image;
  const [owner, family, ...rest] = image.split("/");
  if (family !== undefined && owner !== undefined && rest.length === 0) return `projects/${owner}/global/images/family/${family}`;
  return `projects/${project}/global/images/${image.replace(/^global\/images\//, "")}`;
}

/** A name alone is a subnet; a path says itself whether it is a network or a subnet. With none it is the default network. */
function interfaceOf({ networks, publicIp }: MachineSpec, region: string): InsertInstance["networkInterfaces"][number] {
  const [given] = networks;
  const outside = publicIp ? { accessConfigs: [{ name: "External NAT", type: "ONE_TO_ONE_NAT" } as const] } : {};
  if (given === undefined) return { network: "global/networks/default", ...outside };
  if (/(^|\/)networks\//.test(given)) return { network: given, ...outside };
  return { subnetwork: given.includes("/") ? given : `regions/${region}/subnetworks/${given}`, ...outside };
}

const policyPath = (name: string, region: string): string => `regions/${region}/resourcePolicies/${name}`;
