/**
 * EC2's query API (version 2016-11-15), one function per call that the provider makes: form bodies with flattened lists, XML
 * answers. Names are the vendor's, checked against its service model.
 */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import type { ApiClient } from "../http/api-client.ts";
import type { Labels } from "../provider.ts";
import { formCaller, protocol, type FormCaller, type Params } from "./wire.ts";
import type { XmlNode } from "./xml.ts";

export interface Ec2Instance {
  readonly id: string;
  /** pending, running, stopping, stopped, shutting-down, terminated. */
  readonly state: string;
  /** Why it is in that state, "" when the vendor does not say. */
  readonly reason: string;
  readonly size: string;
  readonly zone: string;
  readonly privateIp: string;
  readonly publicIp: string;
  /** Unix milliseconds: when its first network card was attached, which is at its creation; the launch time moves with each start. */
  readonly createdAt: number;
  readonly labels: Labels;
}

/** The parameters of RunInstances, by their wire names; lists count from 1. */
export interface RunInstance {
  readonly token: string;
  readonly size: string;
  readonly image: string;
  readonly subnet: string | null;
  readonly zone: string | null;
  readonly publicIp: boolean;
  readonly securityGroups: readonly string[];
  readonly sshKey: string | null;
  readonly placementGroup: string | null;
  readonly spot: boolean;
  /** An instance profile, by name or ARN. */
  readonly identity: string | null;
  readonly name: string;
  readonly labels: Labels;
}

export interface Ec2Image {
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
}

export interface Ec2Subnet {
  readonly id: string;
  readonly zone: string;
  readonly freeAddresses: number;
}

export interface Ec2Query {
  readonly labels?: Labels;
  readonly ids?: readonly string[];
  readonly states?: readonly string[];
}

export interface Ec2 {
  /** All pages; fails rather than give a part. */
  readonly instances: (query: Ec2Query, signal: AbortSignal) => Promise<readonly Ec2Instance[]>;
  /** The same token twice answers with the same instance, also when that has ended. */
  readonly run: (wish: RunInstance, userData: Redacted, signal: AbortSignal) => Promise<Ec2Instance>;
  readonly terminate: (id: string, signal: AbortSignal) => Promise<void>;
  readonly start: (id: string, signal: AbortSignal) => Promise<void>;
  readonly stop: (id: string, hard: boolean, signal: AbortSignal) => Promise<void>;
  readonly reboot: (id: string, signal: AbortSignal) => Promise<void>;
  readonly createTags: (id: string, labels: Labels, signal: AbortSignal) => Promise<void>;
  readonly deleteTags: (id: string, keys: readonly string[], signal: AbortSignal) => Promise<void>;
  /** The zones in which a size is offered. */
  readonly offerings: (size: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly images: (id: string, signal: AbortSignal) => Promise<number>;
  /** Available images of that owner, whose names fit (`*` is anything), unordered. */
  readonly imagesOf: (owner: string, name: string, signal: AbortSignal) => Promise<readonly Ec2Image[]>;
  /** "x86_64", "arm64": what runs on machines of that size. */
  readonly architectures: (size: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly subnets: (ids: readonly string[], signal: AbortSignal) => Promise<readonly Ec2Subnet[]>;
  /** Is there a network for machines that name none? */
  readonly hasDefaultNetwork: (signal: AbortSignal) => Promise<boolean>;
  /** Asks whether a create would be permitted. Throws Invalid with code DryRunOperation when it would. */
  readonly dryRun: (wish: RunInstance, signal: AbortSignal) => Promise<void>;
}

const version = "2016-11-15";
const pagesMax = 200;

export function makeEc2(client: ApiClient, pageSize: number): Ec2 {
  const call = formCaller(client, "ec2", version);
  const byId = (id: string): Params => [["InstanceId.1", id]];
  const done = async (answer: Promise<XmlNode>): Promise<void> => void (await answer);
  return {
    instances: (query, signal) => allInstances(call, query, pageSize, signal),
    run: async (wish, userData, signal) => {
      const text = Buffer.from(reveal(userData)).toString("base64");
      const params: Params = [...runParams(wish), ["UserData", text]];
      const answer = await call("RunInstances", wish.name, params, signal, { confidential: [userData, redact(text)] });
      const [only] = answer.items("instancesSet");
      if (only === undefined) throw protocol("RunInstances", "the answer holds no instance");
      return instanceOf(only);
    },
    terminate: (id, signal) => done(call("TerminateInstances", id, byId(id), signal)),
    start: (id, signal) => done(call("StartInstances", id, byId(id), signal)),
    stop: (id, hard, signal) => done(call("StopInstances", id, [...byId(id), ["Force", String(hard)]], signal)),
    reboot: (id, signal) => done(call("RebootInstances", id, byId(id), signal, { idempotent: false })),
    createTags: (id, labels, signal) => done(call("CreateTags", id, [["ResourceId.1", id], ...tagParams("", labels)], signal)),
    deleteTags: (id, keys, signal) => {
      const tags: Params = keys.map((key, at) => [`Tag.${at + 1}.Key`, key] as const);
      return done(call("DeleteTags", id, [["ResourceId.1", id], ...tags], signal));
    },
    offerings: async (size, signal) => {
      const params: Params = [["LocationType", "availability-zone"], ...filterParams([["instance-type", [size]]])];
      const answer = await call("DescribeInstanceTypeOfferings", size, params, signal);
      return answer.items("instanceTypeOfferingSet").map((item) => item.textOf("location"));
    },
    images: async (id, signal) => {
      const answer = await call("DescribeImages", id, filterParams([["image-id", [id]]]), signal);
      return answer.items("imagesSet").length;
    },
    imagesOf: async (owner, name, signal) => {
      const filters = filterParams([
        ["name", [name]],
        ["state", ["available"]],
      ]);
      const answer = await call("DescribeImages", name, [["Owner.1", owner], ...filters], signal);
      return answer.items("imagesSet").map((item) => ({ id: item.textOf("imageId"), createdAt: item.textOf("creationDate") }));
    },
    architectures: async (size, signal) => {
      const answer = await call("DescribeInstanceTypes", size, [["InstanceType.1", size]], signal);
      const [only] = answer.items("instanceTypeSet");
      return (only?.child("processorInfo")?.items("supportedArchitectures") ?? []).map(({ text }) => text);
    },
    subnets: async (ids, signal) => {
      const params = ids.map((id, at) => [`SubnetId.${at + 1}`, id] as const);
      const answer = await call("DescribeSubnets", ids.join(" "), params, signal);
      return answer.items("subnetSet").map(subnetOf);
    },
    hasDefaultNetwork: async (signal) => {
      const answer = await call("DescribeAccountAttributes", "", [["AttributeName.1", "default-vpc"]], signal);
      const values = answer.items("accountAttributeSet").flatMap((item) => item.items("attributeValueSet"));
      return values.some((item) => item.textOf("attributeValue").startsWith("vpc-"));
    },
    dryRun: (wish, signal) => done(call("RunInstances", "(dry run)", [...runParams(wish), ["DryRun", "true"]], signal)),
  };
}

const tagParams = (prefix: string, labels: Labels): Params =>
  Object.entries(labels).flatMap(([key, value], at) => [
    [`${prefix}Tag.${at + 1}.Key`, key] as const,
    [`${prefix}Tag.${at + 1}.Value`, value] as const,
  ]);

const filterParams = (filters: readonly (readonly [string, readonly string[]])[]): Params =>
  filters.flatMap(([name, values], at) => [
    [`Filter.${at + 1}.Name`, name] as const,
    ...values.map((value, nth) => [`Filter.${at + 1}.Value.${nth + 1}`, value] as const),
  ]);

function runParams(wish: RunInstance): Params {
  const tags = { ...wish.labels, Name: wish.name };
  const optional = (name: string, value: string | null): Params => (value === null ? [] : [[name, value]]);
  return [
    ["ClientToken", wish.token],
    ["ImageId", wish.image],
    ["InstanceType", wish.size],
    // One call for each node: of more than one it would be unclear which were made.
    ["MinCount", "1"],
    ["MaxCount", "1"],
    ["MetadataOptions.HttpTokens", "required"],
    ["NetworkInterface.1.DeviceIndex", "0"],
    ["NetworkInterface.1.AssociatePublicIpAddress", String(wish.publicIp)],
    ["NetworkInterface.1.DeleteOnTermination", "true"],
    ...optional("NetworkInterface.1.SubnetId", wish.subnet),
    ...wish.securityGroups.map((group, at) => [`NetworkInterface.1.SecurityGroupId.${at + 1}`, group] as const),
    ...optional("KeyName", wish.sshKey),
    ...optional("Placement.AvailabilityZone", wish.zone),
    ...optional("Placement.GroupName", wish.placementGroup),
    ...(wish.identity === null ? [] : [identityParam(wish.identity)]),
    // One-time: what the vendor takes back is terminated, and does not start again by itself.
    ...optional("InstanceMarketOptions.MarketType", wish.spot ? "spot" : null),
    ["TagSpecification.1.ResourceType", "instance"],
    ...tagParams("TagSpecification.1.", tags),
    ["TagSpecification.2.ResourceType", "volume"],
    ...tagParams("TagSpecification.2.", tags),
  ];
}

const identityParam = (identity: string): readonly [string, string] => [
  identity.startsWith("arn:") ? "IamInstanceProfile.Arn" : "IamInstanceProfile.Name",
  identity,
];

async function allInstances(
  call: FormCaller,
  { labels = {}, ids = [], states = [] }: Ec2Query,
  pageSize: number,
  signal: AbortSignal,
): Promise<readonly Ec2Instance[]> {
  const filters = Object.entries(labels).map(([key, value]) => [`tag:${key}`, [value]] as const);
  const params: Params = [
    ...filterParams(states.length === 0 ? filters : [...filters, ["instance-state-name", states] as const]),
    ...ids.map((id, at) => [`InstanceId.${at + 1}`, id] as const),
    // The vendor refuses a page size beside ids.
    ...(ids.length > 0 ? [] : [["MaxResults", String(pageSize)] as const]),
  ];
  const found: Ec2Instance[] = [];
  let token = "";
  for (let pages = 1; ; pages += 1) {
    const page: Params = token === "" ? params : [...params, ["NextToken", token]];
    const answer = await call("DescribeInstances", ids.join(" "), page, signal);
    for (const reservation of answer.items("reservationSet")) found.push(...reservation.items("instancesSet").map(instanceOf));
    token = answer.textOf("nextToken");
    if (token === "") return found;
    if (pages >= pagesMax) throw protocol("DescribeInstances", `more than ${pagesMax} pages`);
  }
}

function subnetOf(item: XmlNode): Ec2Subnet {
  const [id, zone] = [item.textOf("subnetId"), item.textOf("availabilityZone")];
  if (id === "" || zone === "") throw protocol("DescribeSubnets", "a subnet without id or zone");
  return { id, zone, freeAddresses: Number(item.textOf("availableIpAddressCount")) };
}

function instanceOf(item: XmlNode): Ec2Instance {
  const id = item.textOf("instanceId");
  const state = item.child("instanceState")?.textOf("name") ?? "";
  const attachedAt = item.items("networkInterfaceSet")[0]?.child("attachment")?.textOf("attachTime") ?? "";
  const createdAt = Date.parse(attachedAt === "" ? item.textOf("launchTime") : attachedAt);
  if (!/^i-[0-9a-f]+$/.test(id) || state === "" || Number.isNaN(createdAt)) {
    throw protocol("read instance", "an instance without id, state or launch time");
  }
  return {
    id,
    state,
    reason: item.child("stateReason")?.textOf("code") ?? "",
    size: item.textOf("instanceType"),
    zone: item.child("placement")?.textOf("availabilityZone") ?? "",
    privateIp: item.textOf("privateIpAddress"),
    publicIp: item.textOf("ipAddress"),
    createdAt,
    labels: Object.fromEntries(item.items("tagSet").map((tag) => [tag.textOf("key"), tag.textOf("value")])),
  };
}
