import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Happening, kindsOfHappening, RandomCluster } from "./random-cluster.ts";

/** More by hand: RAFT_RUNS=5000 npm test -- --project unit packages/raft/src/properties. */
const numRuns = Number(process.env["RAFT_RUNS"] ?? 60);

const happening: fc.Arbitrary<Happening> = fc.record({
  kind: fc.integer({ min: 0, max: kindsOfHappening - 1 }),
  a: fc.integer({ min: 0, max: 997 }),
  b: fc.integer({ min: 0, max: 997 }),
});

function live(size: number, seed: number, happenings: readonly Happening[]): RandomCluster {
  const cluster = new RandomCluster(size, seed);
  for (const h of happenings) cluster.happen(h);
  cluster.recover();
  return cluster;
}

describe("a small cluster to which anything happens", () => {
  it("never has two leaders in a term, two entries at an index or a stale read, and works again when the faults end", () => {
    const sums = { applied: 0, reads: 0, snapshots: 0, changes: 0, elections: 0, crashes: 0 };
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer(),
        fc.array(happening, { minLength: 800, maxLength: 1600, size: "max" }),
        (size, seed, happenings) => {
          const { counts } = live(size, seed, happenings);
          for (const key of Object.keys(sums) as (keyof typeof sums)[]) sums[key] += counts[key];
        },
      ),
      { numRuns, interruptAfterTimeLimit: numRuns > 60 ? 600_000 : 8_000 },
    );
    // A run in which little happens proves little.
    for (const count of Object.values(sums)) expect(count, JSON.stringify(sums)).toBeGreaterThan(20);
  });
});
