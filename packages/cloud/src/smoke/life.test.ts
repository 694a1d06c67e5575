/** What a smoke does when the vendor is not as it should be. */
import type { CloudName } from "@aether/core/config/cloud-settings";
import { describe, expect, it } from "vitest";
import type { CloudProvider } from "../provider.ts";
import { makeAwsWorld } from "../testing/aws/world.ts";
import { place as azurePlace } from "../testing/azure/fake.ts";
import { makeAzureWorld } from "../testing/azure/world.ts";
import { makeGcpWorld } from "../testing/gcp/world.ts";
import type { VirtualClock } from "../testing/virtual-clock.ts";
import { makeHetznerWorld } from "../testing/hetzner/world.ts";
import type { FaultPlan } from "../testing/http-fake.ts";
import { smoke, smokeCluster } from "./life.ts";
import { smokeSettings } from "./settings.ts";

const { subscription } = azurePlace;

async function lived(plan: FaultPlan = () => undefined, options: Parameters<typeof makeHetznerWorld>[0] = {}) {
  const world = makeHetznerWorld(options);
  const settings = smokeSettings("hetzner", null, {});
  if (typeof settings === "string") throw new Error(settings);
  const lines: string[] = [];
  const provider = world.client(plan, { cluster: smokeCluster.name });
  const parts = {
    provider,
    settings,
    clock: world.clock,
    signal: AbortSignal.timeout(60_000),
    say: (line: string) => void lines.push(line),
  };
  const holds = await smoke(parts).catch((failure: unknown) => String(failure));
  return { holds, text: lines.join("\n"), fake: world.fake };
}

type Place = () => { readonly clock: VirtualClock; client(plan?: FaultPlan, options?: { cluster: string }): CloudProvider };
const places: readonly (readonly [CloudName, string, Place])[] = [
  ["aws", "eu-central-1", makeAwsWorld],
  ["gcp", "europe-west1", makeGcpWorld],
  ["azure", "westeurope", makeAzureWorld],
];

describe("a smoke", () => {
  it.each(places)("lives a whole life on %s too", async (name, region, makePlace) => {
    const place = makePlace();
    const size = { aws: "t4g.small", gcp: "e2-medium", azure: "Standard_B2s", hetzner: "" }[name];
    const text = [
      `[cluster]\nname = "a"\n[security]\ncluster_secret = "\${secrets:x}"\n[cloud]\nprovider = "${name}"`,
      `region = "${region}"\ninstance_type = "${size}"\n`,
      name === "aws" ? 'image = "ami-0123456789abcdef0"\n' : "",
      name === "azure" ? '[azure]\nvnet = "aether"\nsubnet = "nodes"\n' : "",
    ].join("\n");
    const env = {
      GOOGLE_CLOUD_PROJECT: "fleet-production",
      AZURE_SUBSCRIPTION_ID: subscription,
      AZURE_RESOURCE_GROUP: "Fleet-RG",
    };
    const settings = smokeSettings(name, { name: "cluster.toml", text }, env);
    if (typeof settings === "string") throw new Error(settings);
    const lines: string[] = [];
    const provider = place.client(() => undefined, { cluster: smokeCluster.name });
    const signal = AbortSignal.timeout(60_000);
    const holds = await smoke({ provider, settings, clock: place.clock, signal, say: (line) => void lines.push(line) });
    expect({ holds, last: lines.at(-1) }, lines.join("\n")).toEqual({ holds: true, last: "sweep after: 0 deleted" });
  });

  it("waits for lists that lag, and ends with nothing left", async () => {
    const { holds, text, fake } = await lived();
    expect(text).toContain("sweep after: 0 deleted");
    expect([holds, fake.servers.size, fake.made.length]).toEqual([true, 0, 1]);
  });

  it("makes nothing where preflight says no", async () => {
    const { holds, text, fake } = await lived(undefined, { room: { nbg1: 1 } });
    expect(text).toContain("FAILED the location: there is no location fsn1");
    expect([holds, fake.made]).toEqual([false, []]);
  });

  it("sweeps what it made when a step fails", async () => {
    const { holds, text, fake } = await lived(({ method }) =>
      method === "PUT" ? { kind: "refuse-before", status: 401, headers: {} } : undefined,
    );
    expect(text).toMatch(/FAILED Transient[\s\S]*sweep after: 1 deleted/);
    expect([holds, fake.servers.size]).toEqual([false, 0]);
  });

  it("says that something may be left when it could not sweep", async () => {
    let created = false;
    const { holds } = await lived(({ method, url }) => {
      created ||= method === "POST" && url.pathname.endsWith("/servers");
      return created && method === "DELETE" ? { kind: "unsent" } : undefined;
    });
    expect(holds).toContain("aether-cluster=aether-smoke may be left and cost money");
  });

  it("takes a cluster file's machine, and only of that provider", () => {
    const file = (provider: string) => ({
      name: "cluster.toml",
      text:
        `[cluster]\nname = "a"\n[cloud]\nprovider = "${provider}"\nregion = "nbg1"\ninstance_type = "cx99"\n` +
        '[security]\ncluster_secret = "${secrets:x}"\n',
    });
    expect(smokeSettings("hetzner", file("hetzner"), {})).toMatchObject({ region: "nbg1", instanceType: "cx99" });
    expect(smokeSettings("aws", file("hetzner"), {})).toBe("cluster.toml is about hetzner, not aws");
    expect(smokeSettings("aws", { name: "x.toml", text: "[cluster]\n" }, {})).toContain("x.toml");
  });
});
