import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { cloudNames, cloudSettingsOf, type CloudName, type CloudSettings } from "./cloud-settings.ts";
import { parseClusterFile, redactConfiguration } from "./cluster-file.ts";

const fixture = (name: string): string => readFileSync(join(import.meta.dirname, "../../../../fixtures/clusters", name), "utf8");
const env = { AETHER_SECRET_CLUSTER_SECRET: "correct horse battery" };
const parse = (text: string, more: Readonly<Record<string, string>> = {}) =>
  parseClusterFile(text, { env: { ...env, ...more }, readSecret: () => undefined });

const read = (text: string, more: Readonly<Record<string, string>> = {}) => {
  const parsed = parse(text, more);
  if ("errors" in parsed) throw new Error(JSON.stringify(parsed.errors));
  return parsed.ok;
};
const faults = (text: string): readonly string[] => {
  const parsed = parse(text);
  return "ok" in parsed ? [] : parsed.errors.map(({ line, key, message }) => `${line} ${key}: ${message}`);
};
const fileOf = (provider: string, cloud = "", rest = ""): string =>
  `[cluster]\nname = "a"\n[security]\ncluster_secret = "0123456789"\n` +
  `[cloud]\nprovider = "${provider}"\nregion = "r1"\ninstance_type = "big"\n${cloud}${rest}`;

describe("the settings of a cloud", () => {
  it("are read from the operator guide's file, with the defaults of a first cluster", () => {
    expect(read(fixture("guide.toml")).machines).toMatchObject({
      provider: "hetzner",
      region: "fsn1",
      instanceType: "cx31",
      zones: [],
      image: null,
      bundleUrl: null,
      nodePort: 7400,
      publicIp: true,
      healAfterMs: null,
      nodeCredentials: "forward",
      spot: false,
    });
  });

  it.each<[CloudName, string, string]>([
    ["aws", "eu-west-1", "m7g.large"],
    ["gcp", "europe-west1", "e2-medium"],
    ["azure", "westeurope", "Standard_B2s"],
  ])("of %s need no more than the guide's file with its region and size", (provider, region, size) => {
    const text = fixture("guide.toml").replace("hetzner", provider).replace("fsn1", region).replace("cx31", size);
    expect(read(text).machines).toMatchObject({ provider, region, instanceType: size, nodeCredentials: "identity" });
  });

  it.each(cloudNames)("of %s: its example uses its section whole, and comes back from the log as it was read", (provider) => {
    const c = read(fixture(`${provider}.toml`));
    const keys = Object.keys(c.machines?.[provider] ?? {});
    expect(keys.length).toBeGreaterThan(2);
    expect(c.machines).toMatchObject({ provider, healAfterMs: 600_000, nodePort: 7400 });
    expect(c.machines?.bundleUrl).toMatch(/#sha256=/);
    const stored: unknown = JSON.parse(JSON.stringify(redactConfiguration(c)));
    expect(cloudSettingsOf(stored)).toEqual(c.machines);
  });

  it("of the page about clouds are what it says", () => {
    const page = readFileSync(join(import.meta.dirname, "../../../../docs/clouds.md"), "utf8");
    const [, shown = ""] = /```toml\n([\s\S]*?)```/.exec(page) ?? [];
    expect(read(shown).machines).toMatchObject({ provider: "hetzner", zones: ["fsn1", "nbg1"], healAfterMs: 600_000 });
  });

  it("are none for a local cluster, and for a row that tells nothing", () => {
    expect(read('[cluster]\nname = "a"\n[cloud]\nprovider = "local"\n').machines).toBeNull();
    expect([{}, null, { note: "kept" }, { cloud: { provider: "local" } }].map(cloudSettingsOf)).toEqual([null, null, null, null]);
  });

  it("take from the environment what the file leaves out, for its provider alone, and the log has it then", () => {
    const bundle = `https://files.example/a.tar.gz#sha256=${"a".repeat(64)}`;
    const outside = { AETHER_BUNDLE_URL: bundle, GOOGLE_CLOUD_PROJECT: "fleet-one", AZURE_RESOURCE_GROUP: "other" };
    const gcp = read(fileOf("gcp"), outside);
    expect(gcp.machines).toMatchObject({ bundleUrl: bundle, gcp: { project: "fleet-one" } });
    expect(cloudSettingsOf(redactConfiguration(gcp))).toEqual(gcp.machines);
    expect(read(fileOf("gcp", "", '[gcp]\nproject = "fleet-two"\n'), outside).machines?.gcp.project).toBe("fleet-two");
    expect(read(fileOf("aws"), outside).machines?.gcp.project).toBeUndefined();
    expect(read('[cluster]\nname = "a"\n[cloud]\nprovider = "local"\n', outside).machines).toBeNull();
  });

  it("heal after a time, or not at all", () => {
    const healOf = (text: string): CloudSettings["healAfterMs"] | undefined =>
      read(fileOf("aws", `heal_after = "${text}"\n`)).machines?.healAfterMs;
    expect([healOf("off"), healOf("10s"), healOf("2h")]).toEqual([null, 10_000, 7_200_000]);
  });
});

describe("settings of a cloud that cannot be", () => {
  it("are told all at once, each with its place", () => {
    const lines = [
      'zones = ["r1-a", "r1-a"]',
      "other_instance_types = [7]",
      'bundle_url = "http://files.example/a.tar.gz"',
      "node_port = 70000",
      'heal_after = "1s"',
      'node_credentials = "keys"',
      'public_ip = "no"',
      'image = "${secrets:cluster/secret}"',
      'ssh_keys = ["${secrets:cluster/secret}"]',
    ];
    expect(faults(fileOf("gcp", `${lines.join("\n")}\n`))).toEqual([
      '9 cloud.zones: zones does not fit: ["r1-a","r1-a"]',
      "10 cloud.other_instance_types: other_instance_types is a list",
      '11 cloud.bundle_url: bundle_url does not fit: "http://files.example/a.tar.gz"',
      "12 cloud.node_port: node_port does not fit: 70000",
      '13 cloud.heal_after: heal_after does not fit: "1s"',
      '14 cloud.node_credentials: node_credentials does not fit: "keys"',
      "15 cloud.public_ip: public_ip is text",
      "16 cloud.image: cloud.image is stored and shown, so it cannot hold a secret",
      "17 cloud.ssh_keys.0: cloud.ssh_keys.0 is stored and shown, so it cannot hold a secret",
    ]);
  });

  it.each([
    [fileOf("hetzner", "", "[aws]\n"), "9 aws: section [aws] stands there, and the provider is hetzner"],
    [
      '[cluster]\nname = "a"\n[cloud]\nprovider = "local"\n[gcp]\n',
      "5 gcp: section [gcp] stands there, and the provider is local",
    ],
    [
      fileOf("hetzner", 'node_credentials = "identity"\n'),
      "9 cloud.node_credentials: node_credentials is identity, and hetzner's machines have none",
    ],
    [
      fileOf("gcp", 'node_credentials = "forward"\n'),
      "9 cloud.node_credentials: node_credentials is forward, and gcp's are a file of this computer",
    ],
    [fileOf("hetzner", "spot = true\n"), "9 cloud.spot: spot is true, and hetzner has no such machines"],
    [fileOf("hetzner", "public_ip = false\n"), "9 cloud.public_ip: public_ip is false, and there is no [hetzner] network"],
    [
      fileOf("gcp", 'other_instance_types = ["big"]\n'),
      "9 cloud.other_instance_types: other_instance_types repeats instance_type",
    ],
    [
      fileOf("aws", 'zones = ["r1a", "r1b"]\n', '[aws]\nsubnets = ["subnet-0a1b2c3d"]\n'),
      "11 aws.subnets: 1 subnets for 2 zones",
    ],
    [
      fileOf("aws", 'ssh_keys = ["me"]\n', '[aws]\nkey_name = "me"\n'),
      "11 aws.key_name: key_name and [cloud] ssh_keys both stand there",
    ],
    [fileOf("hetzner", "", '[hetzner]\nnetwork = "internal"\n'), '10 hetzner.network: network does not fit: "internal"'],
    [
      fileOf("azure", "", "[azure]\nsubscripton = 1\n"),
      "10 azure.subscripton: subscripton is not known in [azure]: did you mean subscription?",
    ],
  ])("%j has one fault", (text, fault) => {
    expect(faults(text)).toEqual([fault]);
  });
});
