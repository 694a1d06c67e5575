import { afterAll, describe, expect, it } from "vitest";
import { live, type LifeReport } from "./life.ts";
import { type Defect, defects, faultKinds } from "./plan.ts";

/** The slice of every run; the long way is `npm run soak`. */
const slice = Array.from({ length: 24 }, (_, i) => 101 + i);
/** Seeds among which each defect shows early. */
const within = 16;

const verdict = ({ seed, violation }: LifeReport): unknown => ({ seed, violation });
const whole = (seed: number): unknown => ({ seed, violation: null });

describe("lives of clusters", () => {
  const counts: Record<string, number> = {};
  afterAll(() => {
    // A slice in which nothing went wrong with anybody would prove nothing.
    for (const name of [
      "faults.crashes",
      "faults.partitions",
      "faults.wipes",
      "faults.resets",
      "history.restores",
      "history.refusedRestores",
      "network.lost",
      "network.goneTold",
      "history.recovered",
    ]) {
      expect({ name, count: counts[name] ?? 0 }).not.toEqual({ name, count: 0 });
    }
    expect(counts["clients.done"]).toBeGreaterThan(500);
    expect(counts["history.compared"]).toBeGreaterThan(500);
    expect(counts["history.elections"]).toBeGreaterThan(slice.length);
  });

  it.each(slice)("are sound from seed %i", async (seed) => {
    const report = await live({ seed, forMs: 4_000 });
    for (const [name, count] of Object.entries(report.counts)) counts[name] = (counts[name] ?? 0) + count;
    expect(verdict(report)).toEqual(whole(seed));
  });

  it("are the same life every time, bit for bit", async () => {
    const [first, again] = [await live({ seed: 9, forMs: 2_000 }), await live({ seed: 9, forMs: 2_000 })];
    expect(again).toEqual(first);
    expect((await live({ seed: 10, forMs: 2_000 })).trace).not.toBe(first.trace);
  });

  it("without any fault lose no message and end no process", async () => {
    const { violation, counts: quiet } = await live({ seed: 12, forMs: 2_000, without: [...faultKinds] });
    expect(violation).toBeNull();
    expect(quiet).toMatchObject({
      "faults.crashes": 0,
      "faults.partitions": 0,
      "network.repeated": 0,
      "network.goneTold": 0,
      "disk.errors": 0,
    });
  });
});

/** The rule by which each is found out; the disk that lies may break any of them. */
const foundBy: Readonly<Record<Defect, RegExp>> = {
  lyingDisk: /./,
  staleReads: /^linearizability/,
  forgetfulClients: /^(linearizability|what is refused)/,
  diceInRules: /^equal state digests/,
  wipedKeepsNumber:
    /^(what is committed stays|a whole disk takes part|no member ends itself|committed entries|equal state digests)/,
};

describe("what is wrong on purpose", () => {
  it.each(defects)("is found out: %s", async (defect) => {
    let found: string | null = null;
    for (let seed = 1; seed <= within && found === null; seed++) {
      const { violation } = await live({ seed, forMs: 4_000, defect });
      found = violation?.message ?? null;
    }
    expect(found).toMatch(foundBy[defect]);
  });
});
