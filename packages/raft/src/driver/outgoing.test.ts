import { afterEach, describe, expect, it } from "vitest";
import { type Entry, type Envelope, Kind, type Msg } from "../types.ts";
import { makeManualClock } from "./manual-clock.ts";
import { Outgoing } from "./outgoing.ts";
import { Cluster, taken } from "./testing/cluster.ts";
import { addition } from "./testing/counter.ts";

const leader = 1;
const message = (to: number, m: Msg, term = 2): Envelope => ({ from: leader, to, term, m });
const told = (to: number, commit: number, term?: number): Envelope =>
  message(to, { t: "app", prev: { term: 2, index: commit }, entries: [], commit }, term);
const entry = (index: number): Entry => ({ term: 2, index, kind: Kind.normal, data: new Uint8Array(1) });
const append = (to: number, index: number, commit: number): Envelope =>
  message(to, { t: "app", prev: { term: 2, index: index - 1 }, entries: [entry(index)], commit });
const heartbeat = (to: number, commit: number): Envelope => message(to, { t: "hb", commit, readPos: 0 });

function setUp() {
  const clock = makeManualClock();
  const sent: Envelope[] = [];
  const transport = { send: (batch: readonly Envelope[]) => void sent.push(...batch) };
  const outgoing = new Outgoing(transport, clock);
  const left = (): Envelope[] => sent.splice(0);
  return { clock, outgoing, left };
}

describe("what only tells the commit index", () => {
  it("is dropped when the next append leaves, which tells it as well", async () => {
    const { clock, outgoing, left } = setUp();
    outgoing.send([append(2, 8, 7), append(3, 8, 7)]);
    left();
    outgoing.send([told(2, 8), told(3, 8)]);
    expect(left()).toEqual([]);
    const next = [append(2, 9, 8), append(3, 9, 8)];
    outgoing.send(next);
    expect(left()).toEqual(next);
    await clock.advance(1000);
    expect(left()).toEqual([]);
  });

  it("leaves by itself after 10 ms when nothing follows, the newest word for each follower, once", async () => {
    const { clock, outgoing, left } = setUp();
    outgoing.send([told(2, 8), told(3, 8)]);
    await clock.advance(5);
    outgoing.send([told(2, 9)]);
    await clock.advance(4);
    expect(left()).toEqual([]);
    await clock.advance(1);
    expect(left()).toEqual([told(2, 9), told(3, 8)]);
    await clock.advance(1000);
    expect(left()).toEqual([]);
  });

  it("is not put off beyond that by newer ones that come all the time", async () => {
    const { clock, outgoing, left } = setUp();
    for (let commit = 1; commit <= 40; commit += 1) {
      outgoing.send([told(2, commit)]);
      await clock.advance(1);
    }
    expect(left().length).toBeGreaterThanOrEqual(3);
  });

  it("waits its own 10 ms, also when the one of another follower is due", async () => {
    const { clock, outgoing, left } = setUp();
    outgoing.send([told(2, 8)]);
    await clock.advance(6);
    outgoing.send([told(3, 8)]);
    await clock.advance(4);
    expect(left()).toEqual([told(2, 8)]);
    await clock.advance(6);
    expect(left()).toEqual([told(3, 8)]);
  });

  it("is tried again a little later when the timer came early", () => {
    const sent: Envelope[] = [];
    const timers: { readonly ms: number; readonly run: () => void }[] = [];
    let now = 0.1;
    const early = {
      ...makeManualClock(),
      now: () => now,
      after: (ms: number, run: () => void) => (timers.push({ ms, run }), () => undefined),
    };
    const outgoing = new Outgoing({ send: (batch) => void sent.push(...batch) }, early);
    outgoing.send([told(2, 8)]);
    now += 9.999;
    timers.shift()?.run();
    expect(timers.map(({ ms }) => ms)).toEqual([1]);
    now += 1;
    timers.shift()?.run();
    expect(sent).toEqual([told(2, 8)]);
    expect(timers).toEqual([]);
  });

  it("leaves all the same between heartbeats that come sooner: they do not ask what the follower holds", async () => {
    for (const asked of [11, 8]) {
      const { clock, outgoing, left } = setUp();
      const asks = message(2, { t: "app", prev: { term: 2, index: asked }, entries: [], commit: 8 });
      for (let beat = 0; beat < 3; beat += 1) {
        outgoing.send([asks]);
        await clock.advance(6);
        outgoing.send([heartbeat(2, 8)]);
      }
      expect(left().filter((e) => e === asks).length).toBeGreaterThanOrEqual(1);
    }
  });

  it("keeps back nothing that leaves with it, and leaves itself when asked to", () => {
    const { outgoing, left } = setUp();
    const answer = message(3, { t: "readIndexResp", key: 1, index: 8 });
    outgoing.send([told(2, 8), answer, append(3, 9, 8)]);
    expect(left()).toEqual([answer, append(3, 9, 8)]);
    outgoing.flush();
    expect(left()).toEqual([told(2, 8)]);
  });

  it("is forgotten when the member stops", async () => {
    const { clock, outgoing, left } = setUp();
    outgoing.send([told(2, 8)]);
    outgoing.stop();
    expect(clock.waiting()).toBe(0);
    await clock.advance(1000);
    expect(left()).toEqual([]);
  });
});

describe("one writer who waits for each answer", () => {
  let cluster: Cluster;

  afterEach(async () => {
    await cluster.stop();
  });

  it("costs each follower one append and one answer a commit, and the last commit is known everywhere soon after", async () => {
    const clock = makeManualClock();
    cluster = new Cluster([1, 2, 3], { clock });
    const { machine, node, id } = await cluster.elected();
    await cluster.agreed();
    await clock.advance(20);
    for (const { log } of cluster.members.values()) log.writeMs = 1;
    const commits = 200;
    const counts = { app: 0, appResp: 0 };
    cluster.network.tap(({ m }) => {
      if (m.t === "app" || m.t === "appResp") counts[m.t] += 1;
    });
    let asked = 0;
    const next = (): void => {
      if (asked < commits) taken(node.propose([addition(`${(asked += 1)}`)]));
    };
    machine.onAddition = next;
    next();
    await cluster.until("the writer is done", () => machine.content.total === commits);
    expect(counts.app).toBeLessThanOrEqual(2 * commits * 1.1);
    expect(counts.appResp).toBeLessThanOrEqual(2 * commits * 1.1);
    const others = [...cluster.members.values()].filter((member) => member.id !== id);
    const took = await cluster.until("all have applied", () => others.every((other) => other.machine.content.total === commits));
    expect(took).toBeLessThanOrEqual(30);
  });
});
