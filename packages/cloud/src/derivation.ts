/**
 * What makes a create repeatable is derived, never drawn: whoever asks for the same node, from whichever process, in whichever
 * retry, says the same name and the same digest.
 */
import { createHash } from "node:crypto";
import { value as reveal } from "effect/Redacted";
import { carries, labelFault, labelKeys } from "./labels.ts";
import type { InstanceSpec, Labels, OpKey } from "./provider.ts";

/**
 * The vendor's name of a node's instance, at most 63 characters (40 and 22 of the names' grammars and a hyphen). The attempt is
 * not in it: where names are unique, the vendor itself then refuses a second instance for a node.
 */
export const instanceName = (key: OpKey): string => `${key.cluster}-${key.node}`;

/** Tells two wishes for one node apart, 40 hex digits. Labels that change later are not compared again; this is what was asked first. */
export const specDigest = (spec: InstanceSpec): string =>
  createHash("sha256")
    .update(
      JSON.stringify([
        spec.name,
        spec.address,
        Object.entries(spec.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        machineFacts(spec),
        reveal(spec.userData),
      ]),
    )
    .digest("hex")
    .slice(0, 40);

function machineFacts({ machine }: InstanceSpec): readonly unknown[] {
  if (machine === undefined) return [];
  const { size, image, zone, publicIp, networks, firewalls, sshKeys, placementGroup, spot, identity } = machine;
  const where = [zone ?? null, publicIp, networks, firewalls, sshKeys, placementGroup ?? null];
  return [size, image, ...where, spot ?? false, identity ?? null];
}

/** Labels in which a provider keeps what it must know about an instance later. Callers neither see nor set them. */
export const bookKeys = {
  attempt: "aether-attempt",
  spec: "aether-spec",
  port: "aether-port",
  /** "off" since Aether has stopped it: an instance that is off without it has ended by itself. */
  power: "aether-power",
} as const;

const hidden: ReadonlySet<string> = new Set(Object.values(bookKeys));

/** Those among `keys` that are the provider's own. */
export const bookKeysIn = (keys: readonly string[]): readonly string[] => keys.filter((key) => hidden.has(key));

export const withoutBook = (labels: Labels): Labels =>
  Object.fromEntries(Object.entries(labels).filter(([key]) => !hidden.has(key)));

const portOf = (spec: InstanceSpec): string | null => {
  const port = /^\*:([1-9]\d{0,4})$/.exec(spec.address)?.[1];
  return port === undefined || Number(port) > 65_535 ? null : port;
};

/** All labels of a new instance: the caller's and the provider's book. */
export const bookedLabels = (spec: InstanceSpec): Labels => ({
  ...spec.labels,
  [bookKeys.attempt]: String(spec.key.attempt),
  [bookKeys.spec]: specDigest(spec),
  [bookKeys.port]: portOf(spec) ?? "",
});

/** What is wrong with a wish for an instance in a cloud, or null. */
export function cloudSpecFault(spec: InstanceSpec, userDataBytesMax: number): string | null {
  const { key, labels } = spec;
  if (key.node !== spec.name) return `the key names node ${key.node}, the spec ${spec.name}`;
  if (!Number.isSafeInteger(key.attempt) || key.attempt < 1) return `attempt ${key.attempt} is no positive integer`;
  if (instanceName(key).length > 63) return `${instanceName(key)} is longer than 63 characters`;
  const owner: Labels = { [labelKeys.managed]: "true", [labelKeys.cluster]: key.cluster, [labelKeys.node]: key.node };
  if (!carries(labels, owner)) return `the labels must contain ${JSON.stringify(owner)}`;
  const taken = bookKeysIn(Object.keys(labels));
  if (taken.length > 0) return `label ${taken.join(", ")} belongs to the provider`;
  if (portOf(spec) === null) return `${spec.address}: a cloud chooses the address itself and takes "*:<port>"`;
  if (spec.machine === undefined) return "a cloud needs to know which machine: size and image";
  const bytes = Buffer.byteLength(reveal(spec.userData));
  if (bytes > userDataBytesMax) return `user data has ${bytes} bytes, at most ${userDataBytesMax}`;
  return labelFault(labels);
}
