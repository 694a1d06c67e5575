import { afterEach, describe, expect, it } from "vitest";
import { StoreCluster } from "./testing/store-cluster.ts";

let cluster: StoreCluster;
afterEach(() => cluster.end());

/** mulberry32: the same seed, the same choices. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms: number): Promise<void> => new Promise((f) => setTimeout(f, ms));
const boxes = ["a", "b", "c", "d", "e"];

interface Sum {
  readonly box: string;
  readonly version: number;
  readonly content: number;
}

/** Adds one to random boxes until told to stop; returns every acknowledged sum. */
async function client(name: string, rng: () => number, going: () => boolean): Promise<Sum[]> {
  const sums: Sum[] = [];
  for (let n = 0; going(); n++) {
    const box = boxes[Math.floor(rng() * boxes.length)] ?? "a";
    const { answer } = await cluster.insist({ type: "AddToBox", id: box, amount: 1 }, name, `r${n}`);
    if (!answer.ok) throw new Error(answer.rejection.message);
    sums.push({ box, version: answer.version, content: (answer.answer as { content: number }).content });
  }
  return sums;
}

describe("three stores", () => {
  it("keep every acknowledged write, each once, and equal digests, through lost leaders, cuts and kills", async () => {
    const rng = seeded(20261121);
    cluster = await StoreCluster.start({ rng, snapshotEveryEntries: 300, keepEntries: 50 });
    await cluster.until("a leader", () => cluster.leaders().length > 0);
    for (const box of boxes) await cluster.insist({ type: "FillBox", id: box, content: 0 }, "setup", box);
    const watched: number[] = [];
    const onEntries = (entries: readonly { index: number }[]): boolean => {
      watched.push(...entries.map(({ index }) => index));
      return true;
    };
    const ended: string[] = [];
    cluster.member(2).store.watch({ from: 1, onEntries, onEnd: (why) => ended.push(why) });

    let going = true;
    const clients = Array.from({ length: 24 }, (_, i) => client(`client${i}`, rng, () => going));
    const led = new Set<number>();
    const leaderNow = async (): Promise<number> => {
      await cluster.until("a leader", () => cluster.leaders().length > 0);
      const id = cluster.leaders()[0]?.id ?? 0;
      led.add(cluster.member(id).store.role.term);
      return id;
    };
    cluster.network.setLoss(0.01);
    for (let round = 0; round < 3; round++) {
      await pause(200);
      const old = await leaderNow();
      cluster.network.partition(
        [old],
        cluster.ids.filter((id) => id !== old),
      );
      await pause(500);
      cluster.network.heal();
      await pause(200);
      const next = await leaderNow();
      const other = cluster.ids.find((id) => id !== next) ?? 1;
      await cluster
        .member(next)
        .driver.transfer(other, 1_000)
        .catch(() => undefined);
      await pause(200);
      // 2 is watched from: it is cut off, but its process lives on
      const victim = [1, 3][round % 2] ?? 1;
      await cluster.kill(victim);
      await pause(500);
      await leaderNow();
      await cluster.open(victim);
    }
    cluster.network.setLoss(0);
    going = false;
    const sums = (await Promise.all(clients)).flat();
    await leaderNow();
    const stores = cluster.ids.map((id) => cluster.member(id).store);
    await cluster.until("all have applied the same", () => new Set(stores.map((s) => s.applied)).size === 1);

    expect(cluster.fatal).toEqual([]);
    expect(led.size).toBeGreaterThan(2);
    expect(sums.length).toBeGreaterThan(500);
    expect(new Set(stores.map((s) => s.stateDigest().digest)).size).toBe(1);
    expect(new Set(stores.map((s) => s.auditHead().chain)).size).toBe(1);
    for (const box of boxes) {
      const acknowledged = sums.filter((s) => s.box === box).toSorted((a, b) => a.content - b.content);
      // every sum was given to exactly one request: none lost, none run twice
      expect(acknowledged.map((s) => s.content)).toEqual(acknowledged.map((_, i) => i + 1));
      expect(acknowledged.map((s) => s.version)).toEqual(acknowledged.map((_, i) => i + 2));
      for (const s of stores) expect(s.world.get("box", box)).toMatchObject({ row: { content: acknowledged.length } });
    }
    expect(stores.every((s) => s.stats().first > 1)).toBe(true);
    if (ended.length === 0) await cluster.until("the watch saw it all", () => watched.at(-1) === stores[1]?.applied);
    expect(watched).toEqual(watched.map((_, i) => i + 1));
  }, 60_000);
});
