/** A cluster's whole life at each vendor: over real HTTP, with real daemons on machines that are made of nothing but their user data. */
import { afterEach, describe, expect, it } from "vitest";
import type { Machines } from "@aether/cloud/testing/machines";
import type { StatusView } from "../cluster/status.ts";
import { CloudStage } from "../testing/cloud-stage.ts";
import { aws, gcp, hetzner, type Vendor } from "../testing/cloud-vendors.ts";

let stage: CloudStage<Vendor> | null = null;
afterEach(async () => {
  await stage?.dispose();
  stage = null;
});

/** Generous: a member is lost after a quarter of a minute, and the machines share this computer. */
const healMs = 60_000;

describe("a cluster in a cloud", () => {
  it.each<[string, (machines: Machines) => Vendor]>([
    ["hetzner", hetzner],
    ["aws", aws],
    ["gcp", gcp],
  ])(
    "at %s is made, grows, heals and leaves nothing behind",
    async (name, vendorOf) => {
      const there = await CloudStage.open("prod", 3, vendorOf);
      stage = there;
      const { vendor } = there;
      const made = await there.bootstrap();
      expect(made.code, made.stderr).toBe(0);
      expect(vendor.living()).toHaveLength(3);

      const grown = await there.run("cluster", "scale", "--nodes", "4");
      expect(grown.code, grown.stderr).toBe(0);
      expect(vendor.living()).toHaveLength(4);
      const before = await there.json<StatusView>("cluster", "status");
      for (const { machine } of before.members) expect(machine).toMatchObject({ provider: name, state: "enrolled", attempt: 1 });

      const victim = before.members.find((member) => member.name !== before.leader);
      const lost = victim?.machine?.id ?? "";
      vendor.crash(lost);
      await expect.poll(() => vendor.living().includes(lost), { timeout: healMs }).toBe(false);
      await expect.poll(() => vendor.living().length, { timeout: healMs }).toBe(4);
      await expect
        .poll(async () => await nodeOf(there, victim?.name ?? ""), { timeout: healMs, interval: 500 })
        .toEqual({ duty: "on-duty", answers: true, attempt: 2 });

      const gone = await there.run("cluster", "destroy", "--yes");
      expect(gone.code, gone.stderr).toBe(0);
      expect(vendor.living()).toEqual([]);
      await there.room.settled();
      expect(there.room.machines.size).toBe(0);
      expect(vendor.violations()).toEqual([]);
    },
    180_000,
  );
});

async function nodeOf(there: CloudStage<Vendor>, name: string) {
  const { members } = await there.json<StatusView>("cluster", "status");
  const node = members.find((member) => member.name === name);
  return { duty: node?.duty, answers: node?.answers, attempt: node?.machine?.attempt };
}
