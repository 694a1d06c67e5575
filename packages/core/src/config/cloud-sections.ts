/** The cluster file's sections about clouds: `[cloud]`, which all share, and one for each vendor. No key of theirs is a secret. */
import * as Schema from "effect/Schema";
import { between } from "../kernel/fields.ts";
import { providers } from "../kernel/grammar.ts";
import { durationGrammar, parseDuration } from "./backup-settings.ts";
import { key, orDefault, word } from "./key-doc.ts";

/** Sizes that may be tried one after the other, and places that nodes are spread over. */
const sizesMax = 8;
const zonesMax = 16;
const listMax = 32;
const healRange = [10_000, 604_800_000] as const;
const portRange = [1, 65_535] as const;

const region = "1 to 63 lower-case letters, digits and -";
const sizePattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/;
const size = "1 to 63 letters, digits and _ . -";
const zonePattern = /^[a-z0-9][a-z0-9-]{0,62}$/;
const image = "1 to 512 characters without spaces";
/** Its digest says what it is; http is for a cloud on this computer. */
const bundleGrammar =
  /^(?:https:\/\/|http:\/\/(?:127(?:\.\d{1,3}){3}|localhost|\[::1\])[:/])[!-"$-~]{1,1900}#sha256=[0-9a-f]{64}$/;
const bundle = "https://…#sha256= and 64 hex digits, as `aether cloud bundle` prints it";
const heal = "off, or a duration from 10s to 7d";
const vendorName = "1 to 256 characters without spaces";
const number = "a number, as the vendor's lists show it";

const text = (pattern: RegExp, expected: string) => Schema.optionalKey(word(pattern, expected));
const list = (pattern: RegExp, of: string, max = listMax) => {
  const expected = `a list of at most ${max} different texts, each ${of}`;
  const fits = (items: readonly string[]): boolean =>
    items.length <= max && new Set(items).size === items.length && items.every((item) => pattern.test(item));
  return orDefault(
    Schema.Array(Schema.String)
      .annotate({ expected })
      .check(Schema.makeFilter((items: readonly string[]) => fits(items) || `Expected ${expected}`)),
    [],
  );
};
const flag = (value: boolean) => orDefault(Schema.Boolean.annotate({ expected: "true or false" }), value);
const named = /^[^\s\0]{1,256}$/;
const healFits = (value: string): boolean => {
  if (value === "off") return true;
  const ms = durationGrammar.test(value) ? parseDuration(value) : -1;
  return ms >= healRange[0] && ms <= healRange[1];
};

export const cloud = Schema.Struct({
  provider: key(Schema.Literals(providers).annotate({ expected: `one of ${providers.join(", ")}` }), {
    type: "text",
    doc: "Where the instances are made. `local`: processes on this computer.",
    rule: `one of ${providers.join(", ")}`,
    example: '"hetzner"',
  }),
  region: key(text(/^[a-z0-9][a-z0-9-]{0,62}$/, region), {
    type: "text",
    doc: "The provider's region or location.",
    rule: region,
    example: '"fsn1"',
    default: "none; needed unless the provider is local, which does not read it",
  }),
  instance_type: key(text(sizePattern, size), {
    type: "text",
    doc: "The provider's name for the kind of machine.",
    rule: size,
    example: '"cx31"',
    default: "none; needed unless the provider is local, which does not read it",
  }),
  other_instance_types: key(list(sizePattern, size, sizesMax), {
    type: "list of texts",
    doc: "Kinds of machine to try, in this order, when no zone has room for `instance_type`.",
    rule: `at most ${sizesMax} of them, each ${size}`,
    example: '["cx32", "cpx31"]',
    default: "none other is tried",
  }),
  zones: key(list(zonePattern, region, zonesMax), {
    type: "list of texts",
    doc: "Places that the nodes are spread over, the first ones first. For hetzner other locations, for the others zones of the region.",
    rule: `at most ${zonesMax} of them, each ${region}`,
    example: '["fsn1", "nbg1"]',
    default: "hetzner: the region; gcp: its zones b and c; aws and azure: the vendor chooses",
  }),
  image: key(text(/^[^\s\0]{1,512}$/, image), {
    type: "text",
    doc: "What is on a new machine's disk: the vendor's name or id of an image with systemd, cloud-init and curl.",
    rule: image,
    example: '"debian-12"',
    default:
      "Debian 12, by the vendor's own name for it; on gcp and azure Ubuntu 24.04, because Debian has no cloud-init there, or none that is promised",
  }),
  bundle_url: key(text(bundleGrammar, bundle), {
    type: "text",
    doc: "Where a new machine fetches Aether from, and the digest that it must have.",
    rule: bundle,
    example: `"https://files.example.com/aether.tar.gz#sha256=${"0123456789abcdef".repeat(4)}"`,
    default: "the environment variable AETHER_BUNDLE_URL; with neither, the image has Aether in /opt/aether",
  }),
  node_port: key(orDefault(between(...portRange), 7400), {
    type: "whole number",
    doc: "The port of each node, for people and for its peers.",
    rule: `${portRange[0]} to ${portRange[1]}`,
    example: "7400",
    default: "7400",
  }),
  public_ip: key(flag(true), {
    type: "true or false",
    doc: "Whether a node has a public address. Without one this command must run where the private ones can be reached.",
    rule: "true or false",
    example: "true",
    default: "true",
  }),
  ssh_keys: key(list(/^[^\0\r\n]{1,2048}$/, "1 to 2048 characters in one line"), {
    type: "list of texts",
    doc:
      "Who may log in. hetzner: names of keys in the project; aws: one key pair (or `[aws] key_name`); gcp: `user:` and a public " +
      "key; azure: public keys.",
    rule: `at most ${listMax} of them, each of 1 to 2048 characters in one line`,
    example: '["operator"]',
    default: "nobody",
  }),
  heal_after: key(orDefault(Schema.String.check(Schema.makeFilter((v: string) => healFits(v) || `Expected ${heal}`)), "off"), {
    type: "text",
    doc: "How long a node may be lost before the leader proves its machine gone, or stops it, and makes another.",
    rule: heal,
    example: '"10m"',
    default: "off",
  }),
  node_credentials: key(
    Schema.optionalKey(Schema.Literals(["identity", "forward"]).annotate({ expected: "identity or forward" })),
    {
      type: "text",
      doc:
        "As whom nodes call the provider. `identity`: as the machine's own identity. `forward`: with the credentials of whoever " +
        "runs this command, which then lie on every node.",
      rule: "identity or forward; hetzner knows only forward, gcp only identity",
      example: '"forward"',
      default: "hetzner: forward; the others: identity",
    },
  ),
  load_balancer: key(text(named, vendorName), {
    type: "text",
    doc: "A load balancer that exists. The leader keeps the nodes on duty behind it. On aws the ARN of a target group.",
    rule: vendorName,
    example: '"aether-api"',
    default: "none",
  }),
  spot: key(flag(false), {
    type: "true or false",
    doc: "Cheaper machines that the vendor may take away at any time. Not for hetzner, which has none.",
    rule: "true or false",
    example: "false",
    default: "false",
  }),
});

const id = /^[1-9]\d{0,14}$/;

export const hetzner = Schema.Struct({
  network: key(text(id, number), {
    type: "text",
    doc: "A private network that exists. The nodes then speak to each other over it.",
    rule: number,
    example: '"4711"',
    default: "none: nodes speak to each other over their public addresses",
  }),
  firewalls: key(list(id, number), {
    type: "list of texts",
    doc: "Firewalls that exist. They must let the nodes, and whoever runs this command, reach `node_port`.",
    rule: `at most ${listMax} of them, each ${number}`,
    example: '["38"]',
    default: "none",
  }),
  placement_group: key(text(id, number), {
    type: "text",
    doc: "A placement group that exists, of type spread, so that no two nodes share a host.",
    rule: number,
    example: '"12"',
    default: "none",
  }),
});

const account = "12 digits";

export const aws = Schema.Struct({
  subnets: key(list(/^subnet-[0-9a-f]{8,17}$/, "subnet- and its hex digits"), {
    type: "list of texts",
    doc: "Subnets that exist: one for each of `[cloud] zones`, in the same order.",
    rule: "as many as zones, or one where there is at most one zone",
    example: '["subnet-0a1b2c3d4e5f60718", "subnet-08f7e6d5c4b3a2910"]',
    default: "the default VPC's",
  }),
  security_groups: key(list(/^sg-[0-9a-f]{8,17}$/, "sg- and its hex digits"), {
    type: "list of texts",
    doc: "Security groups that exist. They must let the nodes, and whoever runs this command, reach `node_port`.",
    rule: `at most ${listMax} of them, each sg- and its hex digits`,
    example: '["sg-0a1b2c3d4e5f60718"]',
    default: "the VPC's default group",
  }),
  key_name: key(text(/^[^\0\r\n]{1,255}$/, "1 to 255 characters in one line"), {
    type: "text",
    doc: "The key pair of whoever may log in.",
    rule: "1 to 255 characters in one line",
    example: '"operator"',
    default: "`[cloud] ssh_keys`",
  }),
  instance_profile: key(text(/^[\w+=,.@-]{1,128}$/, "1 to 128 letters, digits and _ + = , . @ -"), {
    type: "text",
    doc: "The profile whose role the nodes have. The leader makes and removes nodes with it.",
    rule: "1 to 128 letters, digits and _ + = , . @ -",
    example: '"aether-node"',
    default: "none: then only this command makes and removes nodes",
  }),
  profile: key(text(/^[^\s\0[\]]{1,128}$/, "1 to 128 characters without spaces and brackets"), {
    type: "text",
    doc: "The profile of the vendor's own configuration that this command uses. Nodes do not read it.",
    rule: "1 to 128 characters without spaces and brackets",
    example: '"production"',
    default: "AWS_PROFILE, then the default one",
  }),
  account: key(text(/^\d{12}$/, account), {
    type: "text",
    doc: "The account in which this cluster may be. With credentials of another one nothing is done.",
    rule: account,
    example: '"123456789012"',
    default: "any",
  }),
});

const project = "6 to 30 lower-case letters, digits and -, a letter first";
const gcpName = "a name of 1 to 63 lower-case letters, digits and -, a letter first";
const gcpNamed = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const gcpPath = "a name, or its path from projects/ on";
const gcpPathed = /^(?:projects\/[a-z0-9:.-]{1,60}\/[a-z0-9/-]{1,180}|[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)$/;

export const gcp = Schema.Struct({
  project: key(text(/^(?:[a-z0-9.-]{1,40}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/, project), {
    type: "text",
    doc: "The project in which the cluster is.",
    rule: project,
    example: '"fleet-production"',
    default: "GOOGLE_CLOUD_PROJECT, then the one that the credentials name",
  }),
  network: key(text(gcpPathed, gcpPath), {
    type: "text",
    doc: "A network that exists.",
    rule: gcpPath,
    example: '"default"',
    default: "the subnet's, or else the project's default network",
  }),
  subnet: key(text(gcpPathed, gcpPath), {
    type: "text",
    doc: "A subnet of the region that exists.",
    rule: gcpPath,
    example: '"nodes"',
    default: "the network's own for the region",
  }),
  service_account: key(text(/^[^\s\0@]{1,128}@[a-z0-9.-]{1,128}$/, "an e-mail address"), {
    type: "text",
    doc: "As whom programs on the nodes call the vendor. The leader makes and removes nodes with it.",
    rule: "an e-mail address",
    example: '"aether-node@fleet-production.iam.gserviceaccount.com"',
    default: "none: then only this command makes and removes nodes",
  }),
  tags: key(list(gcpNamed, gcpName), {
    type: "list of texts",
    doc: "Network tags of the nodes. Firewall rules for them must let the nodes, and whoever runs this command, reach `node_port`.",
    rule: `at most ${listMax} of them, each ${gcpName}`,
    example: '["aether"]',
    default: "none",
  }),
});

const uuid = "a UUID";
const azureName = "1 to 90 letters, digits and _ . ( ) -";
const azureNamed = /^[\w.()-]{1,90}$/;
const azureId = "a name in the resource group, or the id from /subscriptions/ on";
const azureIdentified = /^(?:\/subscriptions\/[^\s\0?#]{1,500}|[\w.()-]{1,90})$/;

export const azure = Schema.Struct({
  subscription: key(text(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, uuid), {
    type: "text",
    doc: "The subscription that pays.",
    rule: uuid,
    example: '"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"',
    default: "AZURE_SUBSCRIPTION_ID",
  }),
  resource_group: key(text(azureNamed, azureName), {
    type: "text",
    doc: "A resource group that exists. All that is made is made in it.",
    rule: azureName,
    example: '"aether"',
    default: "AZURE_RESOURCE_GROUP",
  }),
  vnet: key(text(azureNamed, azureName), {
    type: "text",
    doc: "A virtual network of the resource group that exists.",
    rule: azureName,
    example: '"aether"',
    default: "aether",
  }),
  subnet: key(text(azureIdentified, azureId), {
    type: "text",
    doc: "A subnet of that network that exists, or the id of one elsewhere.",
    rule: azureId,
    example: '"nodes"',
    default: "default",
  }),
  security_group: key(text(azureIdentified, azureId), {
    type: "text",
    doc: "A network security group that exists. It must let the nodes, and whoever runs this command, reach `node_port`.",
    rule: azureId,
    example: '"nodes"',
    default: "none: the subnet's",
  }),
  identity: key(text(azureIdentified, azureId), {
    type: "text",
    doc: "A managed identity that exists, given to the nodes. The leader makes and removes nodes with it.",
    rule: azureId,
    example: '"aether-node"',
    default: "none: then only this command makes and removes nodes",
  }),
  vault: key(text(/^[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]$/, "3 to 24 letters, digits and -"), {
    type: "text",
    doc: "The Key Vault of `${secrets:…}` and of certificates.",
    rule: "3 to 24 letters, digits and -",
    example: '"fleet-vault"',
    default: "none",
  }),
  admin_user: key(orDefault(word(/^[a-z_][a-z0-9_-]{0,31}$/, "1 to 32 lower-case letters, digits and _ -"), "aether"), {
    type: "text",
    doc: "The user of `ssh_keys`. The vendor wants one, and a key for it.",
    rule: "1 to 32 lower-case letters, digits and _ -",
    example: '"aether"',
    default: "aether",
  }),
});
