import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CloudSettings } from "@aether/core/config/cloud-settings";
import { parseClusterFile } from "@aether/core/config/cluster-file";
import { imageOf, machineOf, sizesOf, zonesOf } from "./machine.ts";
import { CloudFailure } from "./failure.ts";
import { processSeams, providerOf } from "./provider-of.ts";

function settingsOf(provider: string, change: (text: string) => string = (text) => text): CloudSettings {
  const text = readFileSync(join(import.meta.dirname, "../../../fixtures/clusters", `${provider}.toml`), "utf8");
  const parsed = parseClusterFile(change(text), { env: {}, readSecret: () => "0123456789" });
  if ("errors" in parsed || parsed.ok.machines === null) throw new Error(JSON.stringify(parsed));
  return parsed.ok.machines;
}

describe("the machine of a node", () => {
  it("is of the wanted size in the wanted place, with the network and the rules that the file names", () => {
    const hetzner = settingsOf("hetzner");
    expect(zonesOf(hetzner)).toEqual(["fsn1", "nbg1", "hel1"]);
    expect(sizesOf(hetzner)).toEqual(["cx32", "cpx31", "cx42"]);
    expect(machineOf(hetzner, { zone: "nbg1", size: "cpx31" })).toEqual({
      size: "cpx31",
      image: "debian-12",
      zone: "nbg1",
      publicIp: true,
      networks: ["4711"],
      firewalls: ["38"],
      sshKeys: ["operator"],
      placementGroup: "12",
    });
  });

  it("on aws is in its zone's own subnet, and has the profile and the key pair", () => {
    expect(machineOf(settingsOf("aws"), { zone: "eu-west-1b", size: "m7i.large" })).toMatchObject({
      zone: "eu-west-1b",
      networks: ["subnet-08f7e6d5c4b3a2910"],
      firewalls: ["sg-0a1b2c3d4e5f60718"],
      sshKeys: ["operator"],
      identity: "aether-node",
    });
  });

  it("is placed by the vendor where the file names no zone; hetzner's place is its region, and gcp's must be one", () => {
    const guide = (provider: string) => settingsOf("guide", (text) => text.replace("hetzner", provider));
    const first = (settings: CloudSettings) => machineOf(settings, { zone: zonesOf(settings)[0] ?? "", size: "s" }).zone;
    expect(["hetzner", "aws", "gcp", "azure"].map((provider) => first(guide(provider)))).toEqual([
      "fsn1",
      undefined,
      "fsn1-b",
      undefined,
    ]);
    expect(imageOf(guide("gcp"))).toContain("ubuntu-os-cloud/");
  });

  it("is not made in a zone that the settings do not have", () => {
    expect(() => machineOf(settingsOf("gcp"), { zone: "us-east1-b", size: "s" })).toThrow(RangeError);
  });
});

describe("the provider of a cluster's settings", () => {
  const make = (provider: string, env: Record<string, string>) =>
    providerOf({ settings: settingsOf(provider), cluster: "production", env, seams: processSeams() });

  it("is the one that the file names, with the credentials of the environment", () => {
    expect(make("hetzner", { HCLOUD_TOKEN: "t" }).name).toBe("hetzner");
    expect(make("aws", { AWS_ACCESS_KEY_ID: "AKID", AWS_SECRET_ACCESS_KEY: "s" }).name).toBe("aws");
  });

  it("says which credentials are missing", () => {
    const without = (): unknown => make("hetzner", {});
    expect(without).toThrow(CloudFailure);
    expect(without).toThrow("HCLOUD_TOKEN is not set");
  });
});
