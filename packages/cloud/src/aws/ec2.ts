/**
 * EC2's query API (version 2016-11-15), one function per call that the provider makes: form bodies with flattened lists, XML
 * answers. Names are the vendor's, checked against its service model.
 */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import { CloudFailure } from "../failure.ts";
import type { ApiClient, Reading } from "../http/api-client.ts";
import type { HttpResponse } from "../http/transport.ts";
import type { Labels } from "../provider.ts";
import { parseAnswer, type XmlNode } from "./xml.ts";

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
  readonly name: string;
  readonly labels: Labels;
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
  /** Asks whether a create would be permitted. Throws Invalid with code DryRunOperation when it would. */
  readonly dryRun: (wish: RunInstance, signal: AbortSignal) => Promise<void>;
}

type Params = readonly (readonly [string, string])[];

const version = "2016-11-15";
const pagesMax = 200;

export function makeEc2(client: ApiClient, pageSize: number): Ec2 {
  const call = (
    action: string,
    subject: string,
    params: Params,
    signal: AbortSignal,
    rest: { readonly idempotent?: boolean; readonly confidential?: readonly Redacted[] } = {},
  ): Promise<XmlNode> =>
    client.call(
      {
        op: `${action} ${subject}`.trim(),
        method: "POST",
        path: "/",
        body: { type: "application/x-www-form-urlencoded; charset=utf-8", bytes: formOf(action, params) },
        idempotent: rest.idempotent ?? true,
        ...(rest.confidential === undefined ? {} : { confidential: rest.confidential }),
        read: (response, reading) => rootOf(`${action}Response`, response, reading),
      },
      signal,
    );
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
    dryRun: (wish, signal) => done(call("RunInstances", "(dry run)", [...runParams(wish), ["DryRun", "true"]], signal)),
  };
}

const protocol = (op: string, message: string): CloudFailure =>
  new CloudFailure({ _tag: "Protocol", provider: "aws", op, message });

/** RFC 3986 percent-encoding, space as %20: the exact bytes that are signed. */
function formOf(action: string, params: Params): Uint8Array {
  const encode = (text: string): string =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const all: Params = [["Action", action], ["Version", version], ...params];
  return Buffer.from(all.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&"));
}

function rootOf(name: string, response: HttpResponse, reading: Reading): XmlNode {
  const root = parseAnswer(response.body);
  if (root === null) throw reading.cut(`the answer is no XML (${response.body.length} bytes)`);
  if (root.name !== name) throw reading.misshapen(`the answer is a ${root.name}, not a ${name}`);
  return root;
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
    ["TagSpecification.1.ResourceType", "instance"],
    ...tagParams("TagSpecification.1.", tags),
    ["TagSpecification.2.ResourceType", "volume"],
    ...tagParams("TagSpecification.2.", tags),
  ];
}

async function allInstances(
  call: (action: string, subject: string, params: Params, signal: AbortSignal) => Promise<XmlNode>,
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
