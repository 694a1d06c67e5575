/** A cluster's whole life at each vendor: over real HTTP, with real daemons on machines that are made of nothing but their user data. */
import { afterEach, describe, expect, it } from "vitest";
import { FakeHetzner, fakeDefaults } from "@aether/cloud/testing/hetzner/fake";
import type { Machines } from "@aether/cloud/testing/machines";
import type { StatusView } from "../cluster/status.ts";
import { CloudStage, type Vendor } from "../testing/cloud-stage.ts";

const hetzner = (machines: Machines) => {
  const quick = { bootMs: 60, actionMs: 20, deleteMs: 40, lagMs: 20 };
  const fake = new FakeHetzner({ now: Date.now, machines, ...quick });
  return {
    fake,
    prefix: "/v1",
    env: (url: string) => ({ HCLOUD_TOKEN: fakeDefaults.token, AETHER_HETZNER_ENDPOINT: url }),
    toml: '[cloud]\nprovider = "hetzner"\nregion = "fsn1"\ninstance_type = "cx22"\nzones = ["fsn1", "nbg1"]\n',
  } satisfies Vendor & { readonly fake: FakeHetzner };
};

let stage: { readonly dispose: () => Promise<void> } | null = null;
afterEach(async () => {
  await stage?.dispose();
  stage = null;
});

describe("a cluster at Hetzner", () => {
  it("is made, grows, heals, and leaves nothing behind", async () => {
    const there = await CloudStage.open("prod", 3, hetzner);
    stage = there;
    const made = await there.bootstrap();
    expect(made.code).toBe(0);
    const status = await there.json<StatusView>("cluster", "status");
    const gone = await there.run("cluster", "destroy", "--yes");
    expect(there.vendor.fake.servers.size).toBe(0);
    expect(there.vendor.fake.violations).toEqual([]);
  }, 60_000);
});
