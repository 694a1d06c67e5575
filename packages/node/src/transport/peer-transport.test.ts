import { Kind, type Envelope, type NodeId, type SnapMeta } from "@aether/raft/types";
import type { MemorySnapshots } from "@aether/raft/driver/testing/memory-snapshots";
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { clientTls, websocketTls, type TlsMaterial } from "../identity/tls.ts";
import { closeReason, encodeHello, type Channel, type Hello, type Standing } from "./handshake.ts";
import { clusterId, introduce, isOpen, makeLab, until, type LabMember as Member } from "./testing/transport-lab.ts";

const { cleanup, material, meet, start, startRelay, tearDown } = makeLab();
afterEach(tearDown);

function append(from: NodeId, to: NodeId, index: number, bytes = 16): Envelope {
  const data = new Uint8Array(bytes).fill(index & 0xff);
  const entries = [{ term: 1, index: index + 1, kind: Kind.normal, data }];
  return { from, to, term: 1, m: { t: "app", prev: { term: 1, index }, entries, commit: index } };
}
const indexes = (received: readonly Envelope[]): number[] => received.flatMap((e) => (e.m.t === "app" ? [e.m.prev.index] : []));

/** Dials like a peer would, says `hello`, and tells how the other side answered. */
async function dial(to: Member, as: TlsMaterial, hello: string | Buffer, channel: Channel = "control"): Promise<string> {
  const ws = new WebSocket(`wss://${to.address}/v1/peer/${channel}`, websocketTls(clientTls(as, { clusterId })));
  cleanup.push(() => Promise.resolve(ws.terminate()));
  return new Promise((resolve) => {
    const heard: string[] = [];
    ws.on("open", () => ws.send(hello));
    ws.on("message", (_data, isBinary) => {
      heard.push(isBinary ? "frame" : "hello");
      if (!isBinary) resolve(heard.join(" "));
    });
    ws.on("close", (code) => resolve([...heard, closeReason(code) ?? String(code)].join(" ")));
    ws.on("error", (error) => resolve(error.message));
  });
}
const greeting = (over: Partial<Hello> = {}): string =>
  encodeHello({ cluster: clusterId, from: 9, to: 1, incarnation: 1, build: "test", features: [], ...over });

async function makeSnapshot(at: Member, bytes: number): Promise<SnapMeta> {
  const rows = (async function* () {
    for (let done = 0; done < bytes; done += 65_536) yield await Promise.resolve(new Uint8Array(65_536).fill(done / 65_536));
  })();
  const membership = { voters: [1, 2], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
  return at.snapshots.create({ term: 3, index: 77 }, membership, "", rows);
}

describe("messages between members", () => {
  it("arrive in order, ten thousand each way at once, and carry what was sent", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    await meet(one, two);
    const total = 10_000;
    for (let at = 0; at < total; at += 100) {
      for (const [from, to] of [
        [one, two],
        [two, one],
      ] as const) {
        from.transport.send(Array.from({ length: 100 }, (_, i) => append(from.id, to.id, at + i)));
      }
      if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await until("all arrived", () => one.received.length === total && two.received.length === total);
    const expected = Array.from({ length: total }, (_, i) => i);
    expect(indexes(two.received)).toEqual(expected);
    expect(indexes(one.received)).toEqual(expected);
    expect(two.received[4321]).toEqual(append(1, 2, 4321));
    expect([...one.unreachable, ...two.unreachable]).toEqual([]);
    const [stats] = one.transport.stats();
    expect(stats).toMatchObject({ id: 2, drops: 0 });
    expect(stats?.heardAgoMs).toBeLessThan(2_000);
  });

  it("that do not fit are dropped from the newest on, and reported once until there is room again", async () => {
    const [one, two] = [await start({ id: 1, limits: { queueMessages: 50 } }), await start({ id: 2 })];
    await meet(one, two);
    one.transport.send(Array.from({ length: 80 }, (_, i) => append(1, 2, i)));
    one.transport.send([append(1, 2, 80)]);
    await until("the queue's content arrived", () => two.received.length === 50);
    expect(indexes(two.received)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(one.unreachable).toEqual([2]);
    expect(one.transport.stats()[0]?.drops).toBe(31);
    one.transport.send([append(1, 2, 50)]);
    await until("room again", () => two.received.length === 51);
    one.transport.send(Array.from({ length: 80 }, (_, i) => append(1, 2, i)));
    await until("reported anew", () => one.unreachable.length === 2);
  });

  it("that are too many bytes are dropped as well, while heartbeats still pass", async () => {
    const [one, two] = [await start({ id: 1, limits: { queueBytes: 3_000_000 } }), await start({ id: 2 })];
    await meet(one, two);
    one.transport.send([
      ...Array.from({ length: 10 }, (_, i) => append(1, 2, i, 1_000_000)),
      { from: 1, to: 2, term: 1, m: { t: "hb", commit: 0, readPos: 1 } },
    ]);
    await until("all that fits", () => two.received.length === 3);
    expect(indexes(two.received)).toEqual([0, 1]);
    expect(two.received.filter((e) => e.m.t === "hb")).toHaveLength(1);
    expect(one.unreachable).toEqual([2]);
  });

  it("wait while the connection is being made; of heartbeats and votes only the newest does", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    introduce(one, two);
    for (let readPos = 1; readPos <= 5; readPos++)
      one.transport.send([{ from: 1, to: 2, term: 1, m: { t: "hb", commit: 0, readPos } }]);
    for (let key = 1; key <= 100; key++) one.transport.send([{ from: 1, to: 2, term: 1, m: { t: "readIndex", key } }]);
    one.transport.send([append(1, 2, 0)]);
    await until("the control messages and the append", () => two.received.length === 65);
    expect(two.received.filter((e) => e.m.t === "hb")).toEqual([
      { from: 1, to: 2, term: 1, m: { t: "hb", commit: 0, readPos: 5 } },
    ]);
    expect(two.received.filter((e) => e.m.t === "readIndex")).toHaveLength(63);
    expect(indexes(two.received)).toEqual([0]);
  });

  it("to a member that was killed are lost and reported once; after its restart they flow again", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    await meet(one, two);
    await two.kill();
    await until("noticed", () => one.unreachable.length > 0);
    for (let i = 0; i < 20; i++) {
      one.transport.send([append(1, 2, i)]);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(one.unreachable).toEqual([2]);
    const again = await start({ id: 2, incarnation: 2, port: two.port });
    await until("connected again", () => isOpen(one, 2), 5_000);
    one.transport.send([append(1, 2, 99)]);
    await until("flowing", () => indexes(again.received).includes(99));
  });

  it("show that a member's process is over when nobody listens at its address any more", async () => {
    const [one, two, three] = [await start({ id: 1 }), await start({ id: 2 }), await start({ id: 3 })];
    await meet(one, two, three);
    expect(one.gone).toEqual([]);
    await two.kill();
    await until("both have seen it", () => one.gone.includes(2) && three.gone.includes(2));
    expect([...one.gone, ...three.gone]).not.toContain(3);
  });

  it("do not call a member gone that still speaks, though nobody listens where we believe it to be", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    const elsewhere = await start({ id: 9 });
    await elsewhere.kill();
    two.transport.setPeers([{ id: 1, address: one.address }]);
    await until("it speaks to us", () => isOpen(two, 1));
    one.transport.setPeers([{ id: 2, address: elsewhere.address }]);
    const refused = (): number => one.events.filter((event) => event.e === "down" && event.peer === 2).length;
    await until("a dial of each channel was refused", () => refused() >= 3);
    expect(one.gone).toEqual([]);
    await two.kill();
    await until("it has fallen silent", () => one.gone.includes(2));
  });

  it("to a member that stopped answering without hanging up are reported, once it has been silent too long", async () => {
    const [one, two] = [await start({ id: 1, limits: { pingMs: 50, silentMs: 200 } }), await start({ id: 2 })];
    const relay = await startRelay(two.port);
    one.transport.setPeers([{ id: 2, address: relay.address }]);
    await until("connected", () => isOpen(one, 2));
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(one.unreachable).toEqual([]);
    relay.freeze();
    await until("noticed", () => one.unreachable.length > 0, 2_000);
    expect(one.events).toContainEqual({ e: "down", peer: 2, channel: "append", why: "silent" });
    expect(one.transport.heardAgoMs(2)).toBeGreaterThan(150);
  });

  it("to an address that is none are lost, and nothing worse happens", async () => {
    const one = await start({ id: 1 });
    one.transport.setPeers([
      { id: 2, address: "127.0.0.1:99999" },
      { id: 3, address: "no port" },
    ]);
    one.transport.send([append(1, 2, 0), append(1, 3, 0)]);
    await until("reported", () => one.unreachable.length === 2);
    expect(one.events.filter((e) => e.e === "down")).toHaveLength(6);
  });

  it("reach a newer member that has dialled us though we do not know its address", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    two.transport.setPeers([{ id: 1, address: one.address }]);
    await until("dialled", () => isOpen(two, 1));
    const last = { term: 3, index: 9 };
    const vote: Envelope = { from: 2, to: 1, term: 4, m: { t: "vote", last, transfer: false, commit: last } };
    two.transport.send([vote]);
    await until("asked", () => one.received.length === 1);
    one.transport.send([{ from: 1, to: 2, term: 4, m: { t: "voteResp", granted: true, commit: { term: 4, index: 9 } } }]);
    await until("answered", () => two.received.length === 1);
    expect(two.received).toEqual([
      { from: 1, to: 2, term: 4, m: { t: "voteResp", granted: true, commit: { term: 4, index: 9 } } },
    ]);
  });
});

const nineIsGone = (id: NodeId, name: string): Standing => (id === 9 ? "removed" : name === `n${id}` ? "welcome" : "impostor");

describe("the handshake between members", () => {
  it("turns away whoever means another member, another cluster, or says something else", async () => {
    const one = await start({ id: 1 });
    const n9 = await material("n9");
    expect(await dial(one, n9, greeting())).toBe("hello");
    expect(await dial(one, n9, greeting({ to: 7 }))).toBe("notMe");
    expect(await dial(one, n9, greeting({ cluster: "b".repeat(32) }))).toBe("wrongCluster");
    expect(await dial(one, n9, greeting({ from: 1 }))).toBe("impostor");
    expect(await dial(one, n9, "{}")).toBe("badHello");
    expect(await dial(one, n9, Buffer.from("binary"))).toBe("badHello");
    expect(await dial(one, await material("eve", "viewer"), greeting())).toBe("impostor");
    expect(one.events.flatMap((e) => (e.e === "refused" ? [e.why] : []))).toEqual([
      "notMe",
      "wrongCluster",
      "impostor",
      "badHello",
      "badHello",
      "impostor",
    ]);
  });

  it("lets nobody in with another cluster's certificate", async () => {
    const one = await start({ id: 1 });
    expect(await dial(one, await material("n9", "member", "b".repeat(32)), greeting())).toMatch(/hang up|ECONNRESET|1006/);
    expect(one.events).toEqual([]);
  });

  it("tells a removed member so, and believes no member under another's name", async () => {
    const one = await start({ id: 1, standing: nineIsGone });
    expect(await dial(one, await material("n9"), greeting())).toBe("frame removed");
    expect(await dial(one, await material("n3"), greeting({ from: 2 }))).toBe("impostor");
    const nine = await start({ id: 9 });
    nine.transport.setPeers([{ id: 1, address: one.address }]);
    await until("told", () => nine.received.some((e) => e.m.t === "removed"));
  });

  it("keeps the later of two processes that run as one member", async () => {
    const one = await start({ id: 1 });
    const older = await start({ id: 2, incarnation: 100, limits: { refusedRedialMs: 100 } });
    older.transport.setPeers([{ id: 1, address: one.address }]);
    await until("the first is in", () => isOpen(older, 1));
    const newer = await start({ id: 2, incarnation: 200 });
    newer.transport.setPeers([{ id: 1, address: one.address }]);
    await until("the later one is in", () => isOpen(newer, 1));
    const refusals = (): number => one.events.filter((e) => e.e === "refused" && e.why === "olderIncarnation").length;
    await until("the earlier one is out", () => !isOpen(older, 1));
    older.transport.send([append(2, 1, 1)]);
    newer.transport.send([append(2, 1, 2)]);
    await until("the later one is heard", () => one.received.length > 0);
    expect(indexes(one.received)).toEqual([2]);
    await until("the earlier one is refused when it comes again", () => refusals() > 0, 6_000);
    expect(isOpen(newer, 1)).toBe(true);
  });

  it("takes a member back whose clock went back, once its earlier life has been silent for a while", async () => {
    const one = await start({ id: 1, limits: { incarnationForgetMs: 400 } });
    const before = await start({ id: 2, incarnation: 200 });
    before.transport.setPeers([{ id: 1, address: one.address }]);
    await until("the first life is in", () => isOpen(before, 1));
    await before.kill();
    const after = await start({ id: 2, incarnation: 100, limits: { refusedRedialMs: 100 } });
    after.transport.setPeers([{ id: 1, address: one.address }]);
    await until("the second life is in", () => isOpen(after, 1));
    expect(one.events.some((e) => e.e === "refused" && e.why === "olderIncarnation")).toBe(true);
  });

  it("closes a connection over which junk or somebody else's messages come", async () => {
    const one = await start({ id: 1 });
    const n9 = await material("n9");
    const ws = new WebSocket(`wss://${one.address}/v1/peer/append`, websocketTls(clientTls(n9, { clusterId })));
    await once(ws, "open");
    ws.send(greeting());
    await once(ws, "message");
    ws.send(Buffer.alloc(100, 1));
    const [code] = (await once(ws, "close")) as [number];
    expect(closeReason(code)).toBe("junk");
    expect(one.received).toEqual([]);
  });

  it("ends a connection that fell silent", async () => {
    const one = await start({ id: 1, limits: { pingMs: 50, silentMs: 200 } });
    const n9 = await material("n9");
    const ws = new WebSocket(`wss://${one.address}/v1/peer/append`, websocketTls(clientTls(n9, { clusterId })));
    await once(ws, "open");
    ws.send(greeting());
    await once(ws, "message");
    const before = performance.now();
    await once(ws, "close");
    expect(performance.now() - before).toBeGreaterThan(150);
  });
});

describe("a snapshot", () => {
  it("of 20 MiB whose connection is cut midway goes on where it stopped and arrives whole", async () => {
    const limits = { snapshotBytesPerSecond: 200_000_000 };
    const [one, two] = [await start({ id: 1, limits }), await start({ id: 2 })];
    const relay = await startRelay(two.port);
    const meta = await makeSnapshot(one, 20 * 1024 * 1024);
    one.transport.setPeers([{ id: 2, address: relay.address }]);
    await until("connected", () => isOpen(one, 2));
    relay.cutAfter(9_000_000);
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 5)).toBe("installed");
    expect(relay.cuts()).toBe(1);
    expect(two.installed).toEqual([{ from: 1, term: 5, meta }]);
    expect(two.snapshots.content(meta).equals(one.snapshots.content(meta))).toBe(true);
    // Resumed, not sent anew: what came in is the snapshot once.
    expect(two.snapshots.received).toBe(meta.bytes);
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 6)).toBe("installed");
    expect(two.snapshots.received).toBe(meta.bytes);
    expect(two.installed.map((i) => i.term)).toEqual([5, 6]);
  });

  it("keeps to its rate", async () => {
    const [one, two] = [await start({ id: 1, limits: { snapshotBytesPerSecond: 8 * 1024 * 1024 } }), await start({ id: 2 })];
    await meet(one, two);
    const meta = await makeSnapshot(one, 4 * 1024 * 1024);
    const before = performance.now();
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 5)).toBe("installed");
    const seconds = (performance.now() - before) / 1000;
    expect(seconds).toBeGreaterThan(0.4);
    expect(seconds).toBeLessThan(6);
  });

  it("that arrives altered is refused, and leaves nothing behind", async () => {
    const [one, two] = [await start({ id: 1 }), await start({ id: 2 })];
    await meet(one, two);
    const meta = await makeSnapshot(one, 1024 * 1024);
    const lying = { ...meta, digest: meta.digest.replace(/^./, (c) => (c === "0" ? "1" : "0")) };
    const source = {
      ...one.snapshots,
      read: (_: SnapMeta, offset: number, max: number) => one.snapshots.read(meta, offset, max),
    };
    expect(await one.transport.sendSnapshot(2, lying, source as MemorySnapshots, 5)).toBe("refused");
    expect(two.installed).toEqual([]);
    expect(two.events.filter((e) => e.e === "snapshotFailed")).toHaveLength(1);
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 5)).toBe("installed");
  });

  it("from a second leader of the same term is refused while one is on its way in, and one of a later term takes over", async () => {
    const slow = { snapshotBytesPerSecond: 2_000_000, snapshotTries: 1 };
    const [one, two, three] = [
      await start({ id: 1, limits: slow }),
      await start({ id: 2 }),
      await start({ id: 3, limits: slow }),
    ];
    await meet(one, two, three);
    const meta = await makeSnapshot(one, 3 * 1024 * 1024);
    const other = await makeSnapshot(three, 2 * 1024 * 1024);
    const first = one.transport.sendSnapshot(2, meta, one.snapshots, 5);
    await until("under way", () => two.snapshots.received > 0);
    expect(await three.transport.sendSnapshot(2, other, three.snapshots, 5)).toBe("refused");
    expect(await three.transport.sendSnapshot(2, other, three.snapshots, 6)).toBe("installed");
    expect(two.installed).toEqual([{ from: 3, term: 6, meta: other }]);
    one.transport.setPeers([]);
    expect(await first).toBe("broken");
  });

  it("is broken off when its peer is not wanted any more, when the transport closes, and when nobody listens", async () => {
    const limits = { snapshotBytesPerSecond: 1_000_000, snapshotPatienceMs: 300 };
    const [one, two] = [await start({ id: 1, limits }), await start({ id: 2 })];
    await meet(one, two);
    const meta = await makeSnapshot(one, 4 * 1024 * 1024);
    const unwanted = one.transport.sendSnapshot(2, meta, one.snapshots, 5);
    await until("under way", () => two.snapshots.received > 0);
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 5)).toBe("refused");
    one.transport.setPeers([]);
    expect(await unwanted).toBe("broken");
    expect(await one.transport.sendSnapshot(2, meta, one.snapshots, 5)).toBe("broken");
    one.transport.setPeers([{ id: 4, address: "127.0.0.1:1" }]);
    expect(await one.transport.sendSnapshot(4, meta, one.snapshots, 5)).toBe("broken");
    await meet(one, two);
    const closing = one.transport.sendSnapshot(2, meta, one.snapshots, 5);
    await one.transport.close();
    expect(await closing).toBe("broken");
  });
});
