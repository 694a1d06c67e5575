/** Chaos in every test run: twenty seconds of it are survived, and a cluster that answers wrongly is found out. */
import { rmSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Daemons } from "./chaos-cluster.ts";
import { runRound, type RoundOptions, type RoundReport } from "./round.ts";
import { plainKinds } from "./schedule.ts";

/** So low that a machine that is busy with other things reaches it, and that a cluster that does not is not well. */
const floorPerS = 20;
/** Windows of 2 s. */
const warmups = 30;
const testMs = 600_000;
const options: Omit<RoundOptions, "seed" | "forMs" | "without"> = { members: 3, floorPerS, warmups, disasters: [] };

/** A machine that has no time for three daemons at the moment may have it a minute later; nothing is learnt until it has. */
async function conclusive(o: RoundOptions): Promise<RoundReport> {
  let report = await runRound(o);
  for (let again = 0; again < 2 && report.verdict === "inconclusive"; again++) {
    if (report.kept !== null) rmSync(report.kept, { recursive: true });
    report = await runRound(o);
  }
  return report;
}

describe("three daemons", () => {
  it("survive twenty seconds of kills, pauses and partitions", { timeout: testMs }, async () => {
    const without = plainKinds.filter((kind) => !["kill", "pause", "partition"].includes(kind));
    const report = await conclusive({ ...options, seed: 20, forMs: 20_000, rate: 0.5, without });
    expect([report.verdict, report.findings, report.kept]).toEqual(["sound", [], null]);
    const { counts, evidence } = report;
    expect(counts["faults.kill"]).toBeGreaterThan(0);
    expect(counts["faults.pause"]).toBeGreaterThan(0);
    expect(Object.keys(counts).some((name) => name.startsWith("faults.partition"))).toBe(true);
    expect(evidence?.operations.length).toBeGreaterThan(floorPerS);
    expect(evidence?.watched.every(({ seen }) => seen.length === evidence.log.length)).toBe(true);
    expect(evidence?.members.length).toBe(3);
  });

  it("are found out when reads ask nobody whether they are still right", { timeout: testMs }, async () => {
    /** Reads at a member that hears nobody any more, and says what it last knew. */
    const read = (cluster: Daemons) => {
      const [first, second, deaf] = cluster.nodes;
      if (first === undefined || second === undefined || deaf === undefined) throw new Error("three nodes are expected");
      for (const other of [first, second]) cluster.net.silence(other.name, deaf.name, "blackhole");
      return async (key: string) => {
        const path = `/v1/settings/${encodeURIComponent(key)}?consistency=stale`;
        const answer = await cluster.operator.ask("GET", deaf.address, path).catch(() => null);
        if (answer?.status === 404) return { version: 0, value: 0 };
        const { version, value } = (answer?.body ?? {}) as { readonly version?: number; readonly value?: number };
        return version === undefined || value === undefined ? null : { version, value };
      };
    };
    const report = await conclusive({ ...options, seed: 21, forMs: 3_000, without: plainKinds, read });
    expect([report.verdict, report.findings.map(({ rule }) => rule)]).toEqual(["broken", ["linearizability"]]);
    expect(report.kept).not.toBe(null);
    rmSync(report.kept ?? "", { recursive: true });
  });

  it("say nothing under too little load", { timeout: testMs }, async () => {
    const report = await runRound({ ...options, seed: 22, forMs: 1_000, floorPerS: 1_000_000, warmups: 1, without: plainKinds });
    expect([report.verdict, report.evidence]).toEqual(["inconclusive", null]);
  });
});
