/**
 * A cluster's whole life at each vendor: over real HTTP, with real daemons on machines that are made of nothing but their user data. Most of
 * each is waiting until a member counts as lost, so they live in pairs.
 */
import { describe, it } from "vitest";
import type { Machines } from "@aether/cloud/testing/machines";
import type { StatusView } from "../cluster/status.ts";
import { CloudStage } from "../testing/cloud-stage.ts";
import { aws, azure, gcp, hetzner, type Vendor } from "../testing/cloud-vendors.ts";
import type { Ended } from "../testing/operator.ts";

/** Generous: a member is lost after a quarter of a minute, and all machines share this computer. */
const healMs = 90_000;

type VendorOf = (machines: Machines) => Vendor;
/** Two at a time: on two processors more would be waiting for a processor. */
const pairs: readonly Readonly<Record<string, VendorOf>>[] = [
  { hetzner, aws },
  { gcp, azure },
];

describe.each(pairs)("a cluster in a cloud", (vendors) => {
  for (const [name, vendorOf] of Object.entries(vendors)) {
    it.concurrent(
      `at ${name} is made, grows, heals and leaves nothing behind`,
      { timeout: 240_000 },
      async ({ expect, onTestFinished }) => {
        const there = await CloudStage.open("prod", 3, vendorOf);
        onTestFinished(() => there.dispose());
        const { vendor } = there;
        const made = await there.bootstrap();
        expect(made.code, made.stderr).toBe(0);
        expect(vendor.living()).toHaveLength(3);

        const grown = await (name === "aws" || name === "azure" ? elsewhere(there) : there.run(...grow));
        expect(grown.code, grown.stderr).toBe(0);
        expect(vendor.living()).toHaveLength(4);
        const before = await there.json<StatusView>("cluster", "status");
        for (const { machine } of before.members)
          expect(machine).toMatchObject({ provider: name, state: "enrolled", attempt: 1 });

        const victim = before.members.find((member) => member.name !== before.leader);
        const lost = victim?.machine?.id ?? "";
        // One that is off is stopped, seen stopped and deleted first; one that is gone must be missed twice.
        (vendor.vanish ?? vendor.crash)(lost);
        // The vendor is asked first: each look at the cluster is a process.
        await expect.poll(() => vendor.living().includes(lost), { timeout: healMs }).toBe(false);
        await expect.poll(() => vendor.living().length, { timeout: healMs }).toBe(4);
        await expect
          .poll(() => nodeOf(there, victim?.name ?? ""), { timeout: healMs, interval: 2_000 })
          .toEqual({ duty: "on-duty", answers: true, isAnother: true });
        expect(vendor.living()).toHaveLength(4);

        // This computer's record is of before: it learns where the new machine is.
        const verified = await there.bootstrap();
        expect(verified.code, verified.stderr).toBe(0);

        const gone = await there.run("cluster", "destroy", "--yes");
        expect(gone.code, gone.stderr).toBe(0);
        expect(vendor.living()).toEqual([]);
        expect(vendor.targets?.() ?? 0).toBe(0);
        await there.room.settled();
        expect(there.room.machines.size).toBe(0);
        expect([...new Set(vendor.violations())]).toEqual([]);
      },
    );
  }
});

const grow = ["cluster", "scale", "--nodes", "4"];

/** Another operator's computer: a context, a certificate and a key, but no journal and no credentials for the vendor. */
function elsewhere({ operator }: CloudStage<Vendor>): Promise<Ended> {
  return operator.begin(grow, { AETHER_HOME: operator.copyContexts((config) => config) }).ended;
}

async function nodeOf(there: CloudStage<Vendor>, name: string) {
  const { members } = await there.json<StatusView>("cluster", "status");
  const node = members.find((member) => member.name === name);
  return { duty: node?.duty, answers: node?.answers, isAnother: (node?.machine?.attempt ?? 0) > 1 };
}
