import { describe, expect, it } from "vitest";
import { emptyMembership } from "../core/confchange.ts";
import type { Envelope, Transport } from "../types.ts";
import { type InProcessNetwork, makeInProcessNetwork } from "./in-process.ts";
import { makeManualClock, type ManualClock } from "./manual-clock.ts";
import { makeMemorySnapshots, type MemorySnapshots } from "./testing/memory-snapshots.ts";
import { seeded } from "./testing/cluster.ts";

interface Ends {
  readonly clock: ManualClock;
  readonly network: InProcessNetwork;
  readonly one: Transport;
  readonly two: Transport;
  readonly stores: readonly [MemorySnapshots, MemorySnapshots];
  /** Terms of what reached member 2, in order; tests number their messages by term. */
  readonly got: number[];
}

function connected(): Ends {
  const clock = makeManualClock();
  const network = makeInProcessNetwork({ clock, rng: seeded(5) });
  const stores = [makeMemorySnapshots(), makeMemorySnapshots()] as const;
  const one = network.join(1, stores[0]);
  const two = network.join(2, stores[1]);
  one.setPeers([{ id: 2, address: "two" }]);
  two.setPeers([{ id: 1, address: "one" }]);
  const got: number[] = [];
  two.onRecv = (batch) => got.push(...batch.map(({ term }) => term));
  return { clock, network, one, two, stores, got };
}

const message = (term: number, to = 2): Envelope => ({ from: 1, to, term, m: { t: "hbResp", readPos: 0 } });
const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

async function* rows(count: number, bytes: number): AsyncGenerator<Uint8Array> {
  for (let n = 0; n < count; n += 1) yield Buffer.alloc(bytes, n);
}

describe("a network in one process", () => {
  it("delivers in order, also when the delay shrinks on the way", async () => {
    const { clock, network, one, got } = connected();
    network.setDelay(20);
    one.send([message(1), message(2)]);
    await clock.advance(5);
    network.setDelay(1);
    one.send([message(3)]);
    await clock.advance(10);
    expect(got).toEqual([]);
    await clock.advance(10);
    expect(got).toEqual([1, 2, 3]);
    expect(network.delivered).toBe(3);
  });

  it("loses the share it is told to lose, and keeps the order of the rest", async () => {
    const { clock, network, one, got } = connected();
    network.setLoss(0.3);
    for (const term of upTo(1000)) one.send([message(term)]);
    await clock.advance(1);
    expect(got.length).toBeGreaterThan(600);
    expect(got.length).toBeLessThan(800);
    expect(got).toEqual(got.toSorted((a, b) => a - b));
  });

  it("passes nothing through a partition or a cut, in the directions that are cut, and tells the sender once", async () => {
    const { clock, network, one, two, got } = connected();
    const back: number[] = [];
    const lost: number[] = [];
    one.onRecv = (batch) => back.push(...batch.map(({ term }) => term));
    one.onUnreachable = (to) => lost.push(to);
    network.cut(1, 2);
    one.send([message(1), message(2)]);
    two.send([{ ...message(3, 1), from: 2 }]);
    await clock.advance(1);
    expect([got, back, lost]).toEqual([[], [3], [2]]);
    network.heal();
    network.partition([1, 3], [2]);
    one.send([message(4)]);
    two.send([{ ...message(5, 1), from: 2 }]);
    await clock.advance(1);
    expect([got, back, lost]).toEqual([[], [3], [2]]);
    network.heal();
    one.send([message(6)]);
    await clock.advance(1);
    expect(got).toEqual([6]);
  });

  it("loses what is under way when the link is cut", async () => {
    const { clock, network, one, got } = connected();
    network.setDelay(10);
    one.send([message(1)]);
    await clock.advance(5);
    network.partition([1], [2]);
    await clock.advance(20);
    network.heal();
    await clock.advance(20);
    expect(got).toEqual([]);
  });

  it("sends only to peers, and drops the newest when a link is full", async () => {
    const { clock, network, one, got } = connected();
    const lost: number[] = [];
    one.onUnreachable = (to) => lost.push(to);
    network.setDelay(10);
    for (const term of upTo(5000)) one.send([message(term)]);
    await clock.advance(20);
    expect(got).toEqual(upTo(4096));
    expect(lost).toEqual([2]);
    one.setPeers([]);
    one.send([message(1)]);
    await clock.advance(20);
    expect(got).toHaveLength(4096);
  });

  it("carries a snapshot byte for byte and announces it with the leader's term once it is whole", async () => {
    const { clock, network, one, two, stores } = connected();
    const made = await stores[0].create({ term: 3, index: 9 }, emptyMembership, "", rows(100, 3000));
    const offers: unknown[] = [];
    two.onSnapshot = (...offer) => offers.push(offer);
    network.setDelay(1);
    let outcome = "";
    one
      .sendSnapshot(2, made, stores[0], 7)
      .then((how) => (outcome = how))
      .catch(() => undefined);
    await clock.advance(3);
    expect(offers).toEqual([]);
    expect(await one.sendSnapshot(2, made, stores[0], 7)).toBe("refused");
    await clock.advance(20);
    expect(outcome).toBe("installed");
    expect(offers).toEqual([[1, 7, made]]);
    expect(stores[1].content(made).equals(stores[0].content(made))).toBe(true);
    expect(await one.sendSnapshot(3, made, stores[0], 7)).toBe("broken");
    await two.close();
    expect(await one.sendSnapshot(2, made, stores[0], 7)).toBe("broken");
  });
});
