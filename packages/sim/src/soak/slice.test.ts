import { availableParallelism } from "node:os";
import { expect, it } from "vitest";
import { commandFor } from "../shrink.ts";
import { Soak } from "./soak.ts";

/** Fixed seeds, on all cores: some 15 s of two quiet ones. Thousands are lived by `npm run soak`. */
const slice = { from: 20_001, lives: 120 };
const crowdedMs = 1_200_000;

it("lives of clusters are sound: the slice of every run", { timeout: crowdedMs }, async () => {
  const soak = new Soak({ ...slice, cores: Math.min(4, availableParallelism()), minutes: crowdedMs / 60_000, keepGoing: true });
  await soak.run();
  const broken = soak.broken.map(({ seed, message }) => `${message}\nlive it again: ${commandFor({ seed })}`);
  expect(broken).toEqual([]);
  const { lives, counts } = soak.record({ commit: "", machine: "" });
  expect(lives).toBe(slice.lives);
  // A slice in which nothing went wrong with anybody would prove nothing.
  for (const name of ["faults.crashes", "faults.partitions", "faults.wipes", "faults.rot", "disk.errors", "network.lost"]) {
    expect({ name, count: counts[name] ?? 0 }).not.toEqual({ name, count: 0 });
  }
  expect(counts["clients.done"]).toBeGreaterThan(10_000);
  expect(counts["history.compared"]).toBeGreaterThan(10_000);
});
