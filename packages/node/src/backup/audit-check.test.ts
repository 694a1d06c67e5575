import type { Manifest } from "@aether/core/backup/manifest";
import { decideRecover } from "@aether/core/cluster/recover";
import { clusterId, readyCluster } from "@aether/core/testing/rules-bench";
import type { EventStore } from "@aether/store/types";
import { describe, expect, it } from "vitest";
import { checkAudit } from "./audit-check.ts";

const bench = readyCluster(3);
const id = clusterId;
const chainOf = (index: number): string => index.toString(16).padStart(64, "0");
const manifest = (index: number, chain = chainOf(index), cluster = id): Manifest => ({
  format: 1,
  cluster: { id: cluster, name: "home" },
  level: 1,
  index,
  term: 1,
  at: 0,
  chain,
  counts: {},
  facets: {},
  wanted: "0".repeat(40),
});

/** A log that is held from 100 to 200. */
const store: Pick<EventStore, "world" | "auditHead" | "auditRange" | "applied"> = {
  world: bench.world,
  applied: 200,
  auditHead: () => ({ index: 200, chain: chainOf(200) }),
  auditRange: (from) =>
    Promise.resolve(
      from < 100
        ? { compacted: true, first: 100 }
        : { from, to: from, before: chainOf(from - 1), after: chainOf(from), entries: [] },
    ),
};

describe("a manifest against the audit chain", () => {
  it("agrees when its digest is the one of that index, and is told apart when it was edited", async () => {
    for (const index of [99, 150, 199, 200]) {
      expect(await checkAudit(manifest(index), store)).toMatchObject({ checked: true, agrees: true });
      const edited = await checkAudit(manifest(index, chainOf(7)), store);
      expect(edited).toMatchObject({ checked: true, agrees: false });
      expect(edited.why).toContain(`index ${index}`);
    }
  });

  it("cannot be compared when entries are gone, not there yet, or another cluster's", async () => {
    expect(await checkAudit(manifest(98), store)).toMatchObject({
      checked: false,
      agrees: true,
      why: expect.stringContaining("before 100 are no longer") as string,
    });
    expect(await checkAudit(manifest(201), store)).toMatchObject({
      checked: false,
      why: expect.stringContaining("up to 200") as string,
    });
    expect(await checkAudit(manifest(150, chainOf(150), "cd".repeat(16)), store)).toMatchObject({
      checked: false,
      why: expect.stringContaining("another cluster, home") as string,
    });
  });

  it("is compared as well when it is of the cluster that this one was before a recovery, as far as that one's log was kept", async () => {
    const recovered = readyCluster(3);
    const of = { old: 2, clusterId: "ef".repeat(16), member: 9, address: null, upTo: 150, chain: chainOf(150) };
    const done = decideRecover(recovered.world, of);
    recovered.world.apply("rejected" in done ? [] : done.events);
    const now = { ...store, world: recovered.world };
    expect(await checkAudit(manifest(150), now)).toMatchObject({ checked: true, agrees: true });
    expect(await checkAudit(manifest(151), now)).toMatchObject({ checked: false });
    expect(await checkAudit(manifest(160, chainOf(160), of.clusterId), now)).toMatchObject({ checked: true, agrees: true });
  });
});
