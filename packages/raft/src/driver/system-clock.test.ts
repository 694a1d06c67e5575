import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "./system-clock.ts";
import { Cluster, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

let cluster: Cluster | null = null;

afterEach(async () => {
  await cluster?.stop();
});

describe("on the process's own clock", () => {
  it("three members elect, commit a thousand entries, read them and end", async () => {
    const clock = {
      ...systemClock,
      advance: (ms: number): Promise<void> =>
        new Promise((done) => {
          setTimeout(done, ms);
        }),
    };
    cluster = new Cluster([1, 2, 3], { clock, driver: { tickMs: 20, electionTicks: 10 } });
    const leader = await cluster.elected();
    for (let n = 0; n < 1000; n += 1) taken(leader.node.propose([addition(`${n}`)]));
    const reader = cluster.member((leader.id % 3) + 1);
    await cluster.until("all are applied", () => leader.machine.content.total === 1000);
    await reader.node.readBarrier(5000);
    expect(reader.machine.content.total).toBe(1000);
    expect(leader.node.stats.groups).toBeLessThan(100);
  });

  it("counts up, waits at least as long as told, and takes a timer back", async () => {
    const began = systemClock.now();
    let cancelled = true;
    systemClock.after(5, () => {
      cancelled = false;
    })();
    await new Promise<void>((done) => {
      systemClock.after(20, done);
    });
    // setTimeout may fire a fraction of a millisecond early by another clock.
    expect(systemClock.now() - began).toBeGreaterThanOrEqual(19);
    expect(cancelled).toBe(true);
  });
});
