import type { Manifest } from "@aether/core/backup/manifest";
import type { EventStore } from "@aether/store/types";
import { describe, expect, it } from "vitest";
import { checkAudit } from "./audit-check.ts";

const id = "ab".repeat(16);
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
const store: Pick<EventStore, "auditHead" | "auditRange" | "applied"> = {
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
      expect(await checkAudit(manifest(index), id, store)).toMatchObject({ checked: true, agrees: true });
      const edited = await checkAudit(manifest(index, chainOf(7)), id, store);
      expect(edited).toMatchObject({ checked: true, agrees: false });
      expect(edited.why).toContain(`index ${index}`);
    }
  });

  it("cannot be compared when entries are gone, not there yet, or another cluster's", async () => {
    expect(await checkAudit(manifest(98), id, store)).toMatchObject({
      checked: false,
      agrees: true,
      why: expect.stringContaining("before 100 are no longer") as string,
    });
    expect(await checkAudit(manifest(201), id, store)).toMatchObject({
      checked: false,
      why: expect.stringContaining("up to 200") as string,
    });
    expect(await checkAudit(manifest(150, chainOf(150), "cd".repeat(16)), id, store)).toMatchObject({
      checked: false,
      why: expect.stringContaining("another cluster, home") as string,
    });
  });
});
