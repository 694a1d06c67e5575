/** Each disaster strikes a real cluster under load once, and leaves it whole. */
import { existsSync, readdirSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { sameDigests } from "@aether/node/testing/cluster-facts";
import { eventually } from "@aether/node/testing/cluster-harness";
import { whyNoSmallDisk } from "@aether/node/testing/small-disk";
import { startWriteLoad, type WriteLoad } from "@aether/node/testing/write-load";
import { makeStream } from "../../world/stream.ts";
import { Daemons } from "../chaos-cluster.ts";
import type { Disaster } from "../disaster.ts";
import { failpointKills } from "./failpoints.ts";
import { fullDisk } from "./full-disk.ts";
import { oldDisk } from "./old-disk.ts";
import { slowDisk } from "./slow-disk.ts";

// On a crowded machine each start may take many seconds.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 200_000 });

const noSmallDisk = whyNoSmallDisk();
if (noSmallDisk !== null) console.warn(`SKIPPED, needs root: the disaster full-disk: ${noSmallDisk}`);
const wholeMs = 90_000;
const strikesMs = 180_000;

describe("a disaster", () => {
  let cluster: Daemons;
  let load: WriteLoad;
  beforeAll(async () => {
    cluster = await Daemons.prepare(3, 1);
    await cluster.form();
    load = startWriteLoad(cluster.operator, "disaster", 4);
  });
  afterAll(async () => {
    await load.stop();
    await cluster.close(false);
  });

  /** Lasts until the timeline since its beginning tells what `until` looks for. */
  const strikes = async (disaster: Disaster, until: RegExp): Promise<string> => {
    const from = cluster.timeline.length;
    const told = (): string => cluster.timeline.slice(from).join("\n");
    const acknowledged = (): number => [...load.acknowledged.values()].reduce((sum, value) => sum + value, 0);
    const before = acknowledged();
    try {
      await disaster.begin(cluster, makeStream(7, `chaos/${disaster.name}`));
      await eventually(`${disaster.name}: ${until.source}`, strikesMs, () => (until.test(told()) ? true : undefined));
    } finally {
      await disaster.end(cluster);
    }
    for (const node of cluster.nodes) await cluster.takesPart(node, wholeMs);
    expect(acknowledged()).toBeGreaterThan(before);
    expect([cluster.unexpected, cluster.free.length]).toEqual([[], 3]);
    await load.stop();
    const [first, ...others] = await sameDigests(cluster.operator, cluster.nodes, wholeMs);
    expect(others).toEqual([first, first]);
    load = startWriteLoad(cluster.operator, `after-${disaster.name}`, 4);
    return told();
  };

  it("failpoints: the member dies of what was armed and of nothing else", async () => {
    // By chance, at each write: how soon depends on how much is written.
    const told = await strikes(failpointKills(), /ended by itself: (SIGKILL|code 70)/);
    expect(told).toMatch(/failpoints +[1-9]\d* deaths/);
    expect(told).toMatch(/AETHER_FAILPOINTS=\w+=(kill|error:\w+)@/);
  });

  it("slow disk: the member lives through it", async () => {
    expect(await strikes(slowDisk(), /AETHER_FAILPOINTS=/)).toMatch(/AETHER_FAILPOINTS=beforeAppendSync=sleep:\d+@0\.5;/);
  });

  it.skipIf(noSmallDisk !== null)(
    "full disk: ended or held back, nothing condemned (skipped where no tmpfs can be mounted)",
    async () => {
      const told = await strikes(fullDisk(), /bytes left/);
      expect(told).toMatch(/n\d +has 0 bytes left on its disk/);
      expect(told).toMatch(/n\d +ended by itself: code 70|n\d +holds back/);
      for (const { dataDir } of cluster.nodes) expect(existsSync(`${dataDir}-besides`)).toBe(false);
    },
  );

  it("old disk: refused as below its floor, it rejoins under a new number", async () => {
    expect(await strikes(oldDisk(), /old disk/)).toMatch(/n\d +has its old disk/);
    const retired = cluster.nodes.flatMap(({ dataDir }) => readdirSync(dataDir).filter((name) => name.includes("belowFloor")));
    expect(retired).toHaveLength(1);
  });
});
