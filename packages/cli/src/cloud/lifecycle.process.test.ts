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
    toml: '[cloud]\nprovider = "hetzner"\nregion = "fsn1"\ninstance_type = "cx22"\nzones = ["fsn1", "nbg1"]\nheal_after = "10s"\n',
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
    const say = (what: string) => console.log(Date.now() % 1e6, what);
    const made = await there.bootstrap();
    say("made");
    expect(made, made.stderr).toMatchObject({ code: 0 });
    const grown = await there.run("cluster", "scale", "--nodes", "5");
    say(`grown ${grown.stderr} ${grown.stdout}`);
    expect(grown, grown.stderr).toMatchObject({ code: 0 });
    const status = await there.json<StatusView>("cluster", "status");
    say(JSON.stringify(status.members.map(({ name, machine }) => ({ name, machine }))));
    const lost = status.members.find(({ name, role }) => name !== status.leader && role === "follower");
    there.vendor.fake.crash(Number(lost?.machine?.id));
    for (let i = 0; i < 100; i++) {
      const now = await there.run("cluster", "status");
      say(now.stdout);
      const view = await there.json<StatusView>("cluster", "status");
      const healed = view.members.find(({ name }) => name === lost?.name);
      if (healed?.duty === "on-duty" && healed.machine?.attempt === 2 && healed.contact==="reachable") break;
      await new Promise((done) => setTimeout(done, 1000));
    }
    const gone = await there.run("cluster", "destroy", "--yes");
    say(gone.stderr + gone.stdout);
    expect(there.vendor.fake.servers.size).toBe(0);
    expect(there.vendor.fake.violations).toEqual([]);
  }, 120_000);
});
