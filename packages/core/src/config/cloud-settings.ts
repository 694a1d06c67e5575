/**
 * What `[cloud]` and the chosen vendor's section say, as plain JSON without secrets. It is part of the configuration in the log, so
 * that every leader makes the same machines as the bootstrap did.
 */
import * as Result from "effect/Result";
import * as Schema from "effect/Schema";
import { durationText, parseDuration } from "./backup-settings.ts";
import { aws, azure, cloud, gcp, hetzner } from "./cloud-sections.ts";

/** A provider that is somebody else's computers. */
export type CloudName = "hetzner" | "aws" | "gcp" | "azure";
export const cloudNames: readonly CloudName[] = ["hetzner", "aws", "gcp", "azure"];

export interface CloudSettings {
  readonly provider: CloudName;
  readonly region: string;
  readonly instanceType: string;
  /** Tried in this order when there is no room for `instanceType`. */
  readonly otherInstanceTypes: readonly string[];
  /** As in the file; none: `zonesOf` knows the provider's. */
  readonly zones: readonly string[];
  /** Null: the provider's own. */
  readonly image: string | null;
  /** `https://…#sha256=HEX`; null: the image has it. */
  readonly bundleUrl: string | null;
  readonly nodePort: number;
  readonly publicIp: boolean;
  readonly sshKeys: readonly string[];
  /** Null: lost nodes are not replaced. */
  readonly healAfterMs: number | null;
  readonly nodeCredentials: "identity" | "forward";
  readonly loadBalancer: string | null;
  readonly spot: boolean;
  /** Each vendor's section, with its keys as in the file; only the chosen one's is read. */
  readonly hetzner: typeof hetzner.Type;
  readonly aws: typeof aws.Type;
  readonly gcp: typeof gcp.Type;
  readonly azure: typeof azure.Type;
}

/** The sections of a file that has been judged. */
export interface CloudSections {
  readonly cloud: typeof cloud.Type;
  readonly hetzner: typeof hetzner.Type;
  readonly aws: typeof aws.Type;
  readonly gcp: typeof gcp.Type;
  readonly azure: typeof azure.Type;
}

/** Null for the local provider, and where region or instance type are missing. */
export function settingsOf(file: CloudSections): CloudSettings | null {
  const { provider, region, instance_type: instanceType } = file.cloud;
  if (provider === "local" || region === undefined || instanceType === undefined) return null;
  const { heal_after: heal, node_credentials: credentials } = file.cloud;
  return {
    provider,
    region,
    instanceType,
    otherInstanceTypes: file.cloud.other_instance_types,
    zones: file.cloud.zones,
    image: file.cloud.image ?? null,
    bundleUrl: file.cloud.bundle_url ?? null,
    nodePort: file.cloud.node_port,
    publicIp: file.cloud.public_ip,
    sshKeys: file.cloud.ssh_keys,
    healAfterMs: heal === "off" ? null : parseDuration(heal),
    nodeCredentials: credentials ?? (provider === "hetzner" ? "forward" : "identity"),
    loadBalancer: file.cloud.load_balancer ?? null,
    spot: file.cloud.spot,
    hetzner: file.hetzner,
    aws: file.aws,
    gcp: file.gcp,
    azure: file.azure,
  };
}

type Stored = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** The sections as they are stored, with the file's keys; {@link cloudSettingsOf} reads them again. What is unset is left out. */
export function storedSections(settings: CloudSettings): Readonly<Record<string, Stored>> {
  const { provider, bundleUrl, image, loadBalancer, healAfterMs } = settings;
  const cloudSection = {
    provider,
    region: settings.region,
    instance_type: settings.instanceType,
    other_instance_types: settings.otherInstanceTypes,
    zones: settings.zones,
    ...(image === null ? {} : { image }),
    ...(bundleUrl === null ? {} : { bundle_url: bundleUrl }),
    node_port: settings.nodePort,
    public_ip: settings.publicIp,
    ssh_keys: settings.sshKeys,
    heal_after: healAfterMs === null ? "off" : durationText(healAfterMs),
    node_credentials: settings.nodeCredentials,
    ...(loadBalancer === null ? {} : { load_balancer: loadBalancer }),
    spot: settings.spot,
  };
  return { cloud: withoutEmpty(cloudSection), [provider]: withoutEmpty(settings[provider]) };
}

const withoutEmpty = (section: Stored): Stored =>
  Object.fromEntries(Object.entries(section).filter(([, value]) => !Array.isArray(value) || value.length > 0));

const StoredSections = Schema.Struct({
  cloud,
  hetzner: Schema.optionalKey(hetzner),
  aws: Schema.optionalKey(aws),
  gcp: Schema.optionalKey(gcp),
  azure: Schema.optionalKey(azure),
});
const decodeStored = Schema.decodeUnknownResult(StoredSections, { onExcessProperty: "ignore" });
const [noHetzner, noAws, noGcp, noAzure] = [hetzner, aws, gcp, azure].map((section) =>
  Schema.decodeUnknownSync(section as Schema.Decoder<unknown>)({}),
) as [typeof hetzner.Type, typeof aws.Type, typeof gcp.Type, typeof azure.Type];

/**
 * The settings in a cluster's row (`row.configuration`), which `redactConfiguration` wrote. Null when the cluster is local, or was
 * initialised without a configuration that tells.
 */
export function cloudSettingsOf(configuration: unknown): CloudSettings | null {
  const stored = decodeStored(configuration);
  if (Result.isFailure(stored)) return null;
  const { hetzner: h = noHetzner, aws: a = noAws, gcp: g = noGcp, azure: z = noAzure } = stored.success;
  return settingsOf({ cloud: stored.success.cloud, hetzner: h, aws: a, gcp: g, azure: z });
}

/** Keys of `[cloud]` and of vendors' sections that an environment variable fills in where the file has none. */
export const environmentKeys = [
  { section: "cloud", key: "bundle_url", variable: "AETHER_BUNDLE_URL" },
  { section: "gcp", key: "project", variable: "GOOGLE_CLOUD_PROJECT" },
  { section: "azure", key: "subscription", variable: "AZURE_SUBSCRIPTION_ID" },
  { section: "azure", key: "resource_group", variable: "AZURE_RESOURCE_GROUP" },
] as const;
