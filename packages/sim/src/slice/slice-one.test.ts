import { afterAll, describe, expect, it } from "vitest";
import { sumOf } from "../soak/record.ts";
import { liveSome, startsOf, testLimitMs } from "./slice.ts";

const tests = 12;

describe("lives of clusters, the slice of every run, part one", () => {
  let counts: Record<string, number> = {};
  afterAll(() => {
    // A slice in which nothing went wrong with anybody would prove nothing.
    for (const name of ["faults.crashes", "faults.partitions", "faults.wipes", "faults.rot", "disk.errors", "network.lost"]) {
      expect({ name, count: counts[name] ?? 0 }).not.toEqual({ name, count: 0 });
    }
    expect(counts["clients.done"]).toBeGreaterThan(10_000);
    expect(counts["history.compared"]).toBeGreaterThan(10_000);
  });

  it.each(startsOf(20_001, tests))(
    "are sound from seed %i on",
    async (from) => {
      const { broken, counts: more } = await liveSome(from);
      counts = sumOf([counts, more]);
      expect(broken).toEqual([]);
    },
    testLimitMs,
  );
});
