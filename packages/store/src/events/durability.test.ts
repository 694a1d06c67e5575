import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { boxRegistry } from "./testing/box-noun.ts";
import { HandLog, OneMember, carry } from "./testing/one-member.ts";
import type { MemberOptions } from "./testing/one-member.ts";
import { openLevelState } from "./state-db.ts";
import type { StateDb } from "./state-db.ts";
import { openEventStore } from "./open.ts";
import { openSnapshots, readRows } from "../snapshots.ts";

const members: OneMember[] = [];
const leading = async (options: MemberOptions = {}): Promise<OneMember> => {
  const member = await OneMember.start(options);
  members.push(member);
  member.lead();
  return member;
};
/** What a reader would see of the state. */
const picture = (m: OneMember): unknown => ({
  digest: m.store.stateDigest(),
  audit: m.store.auditHead(),
  rows: [...m.store.world.all("box")].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  sessions: m.store.stats().sessions,
});
const someLife = async (m: OneMember): Promise<void> => {
  m.fill(150);
  m.commit();
  await m.ask({ type: "MoveAll", id: "b1", to: "b2" }, "r1");
  await m.ask({ type: "AddToBox", id: "b2", amount: 3 }, "r2");
};

afterEach(async () => {
  for (const member of members.splice(0)) await member.end();
});

describe("the flush behind the apply", () => {
  it("comes by itself after a while, and sooner when many rows changed", async () => {
    const patient = await leading({ flushMs: 60_000, flushRows: 20 });
    patient.fill(10, 10);
    patient.commit();
    await new Promise((f) => setTimeout(f, 30));
    expect(patient.store.stats().flushed).toBe(0);
    patient.fill(30, 1000);
    patient.commit();
    await expect.poll(() => patient.store.stats().flushed).toBe(41);
    const hasty = await leading({ flushMs: 1 });
    await expect.poll(() => hasty.store.stats().flushed).toBe(1);
  });

  it("tells raft only of what is on disk, so that the log is never cut too far", async () => {
    const m = await leading({ flushMs: 60_000 });
    m.fill(20);
    m.commit();
    expect([m.store.applied, m.store.stateMachine.applied]).toEqual([21, 0]);
    expect(await m.store.flush()).toBe(21);
    expect(m.store.stateMachine.applied).toBe(21);
  });

  it("that fails ends the process", async () => {
    let failing = false;
    const wrapDb = (db: StateDb): StateDb => ({
      ...db,
      write: (ops) => (failing ? Promise.reject(new Error("the disk is full")) : db.write(ops)),
    });
    const m = await leading({ wrapDb, flushMs: 60_000 });
    failing = true;
    await m.ask({ type: "FillBox", id: "a", content: 1 });
    await m.store.flush();
    expect(m.fatal?.message).toBe("the disk is full");
    expect(m.store.stateMachine.applied).toBe(0);
    failing = false;
    m.fatal = null;
  });

  it("leaves nothing of a removed thing, also when it came back in between", async () => {
    const m = await leading({ flushMs: 60_000 });
    await m.ask({ type: "FillBox", id: "a", content: 1 });
    await m.store.flush();
    await m.ask({ type: "MoveAll", id: "a", to: "b" });
    await m.ask({ type: "FillBox", id: "a", content: 2 });
    await m.ask({ type: "MoveAll", id: "b", to: "c" });
    const before = picture(m);
    await m.restart();
    expect(picture(m)).toEqual(before);
    expect([...m.store.world.all("box")].map(({ id, version }) => [id, version])).toEqual([
      ["a", 1],
      ["c", 1],
    ]);
  });
});

describe("after a restart", () => {
  it("the world is the same, read from rows alone", async () => {
    const m = await leading();
    await someLife(m);
    const before = picture(m);
    await m.restart();
    expect(m.store.stateMachine.applied).toBe(153);
    expect(picture(m)).toEqual(before);
  });

  it("a killed member replays from the log what it had not flushed", async () => {
    const m = await leading({ flushMs: 60_000 });
    await someLife(m);
    await m.store.flush();
    m.fill(70);
    m.commit();
    await m.ask({ type: "AddToBox", id: "b2", amount: 3 }, "r3");
    const before = picture(m);
    await m.crash();
    expect(m.store.stateMachine.applied).toBe(153);
    expect(picture(m)).toEqual(before);
  });

  it("time does not go back, whatever the clock says", async () => {
    const m = await leading();
    await m.ask({ type: "FillBox", id: "a", content: 1 });
    const before = m.store.world.get("box", "a")?.at ?? 0;
    await m.restart();
    m.now = 1;
    m.lead();
    await m.ask({ type: "FillBox", id: "a", content: 2 });
    expect(m.store.world.get("box", "a")?.at).toBe(before);
  });

  it("membership, checkpoints and the time of entries are those of before", async () => {
    const m = await leading({ isCheckpoint: (e) => e.type === "BoxesChecked" });
    await m.ask({ type: "CheckBoxes", id: "a" }, null, { name: "n1", role: "member" });
    const before = [m.store.membership, m.store.checkpoints];
    expect(m.store.checkpoints).toEqual([m.store.stateDigest()]);
    await m.restart();
    expect([m.store.membership, m.store.checkpoints]).toEqual(before);
  });
});

describe("a state folder that is damaged", () => {
  it("is rebuilt from snapshot and log; no byte flipped anywhere ever shows as wrong data", async () => {
    const told: string[] = [];
    const m = await leading({ onRecovered: (why) => told.push(why) });
    await someLife(m);
    await m.snapshot();
    m.fill(50);
    m.commit();
    const before = picture(m);
    await m.store.close();
    const clean = m.state;
    const sizes = await Promise.all(
      (await readdir(clean)).map(async (f) => [f, (await readFile(join(clean, f))).length] as const),
    );
    let tried = 0;
    for (const [file, size] of sizes) {
      if (file === "LOCK" || file.startsWith("LOG") || size === 0) continue;
      for (let at = Math.floor(size / 23); at < size; at += Math.max(1, Math.floor(size / 9))) {
        m.state = join(m.dir, `flip-${tried++}`);
        await cp(clean, m.state, { recursive: true });
        const bytes = await readFile(join(m.state, file));
        bytes[at] = (bytes[at] ?? 0) ^ 0x20;
        await writeFile(join(m.state, file), bytes);
        await m.open();
        expect([file, at, picture(m)]).toEqual([file, at, before]);
        await m.store.close();
        await rm(m.state, { recursive: true });
      }
    }
    expect(tried).toBeGreaterThan(20);
    expect(told.length).toBeGreaterThan(3);
    m.state = clean;
    await m.open();
  });

  it("is noticed when a record is missing, and kept aside for forensics", async () => {
    const told: string[] = [];
    const m = await leading({ onRecovered: (why) => told.push(why) });
    await someLife(m);
    const before = picture(m);
    await m.store.close();
    const db = await openLevelState(m.state);
    const gone: Uint8Array[] = [];
    for await (const page of db.scan({ gte: Buffer.from([0]), lt: Buffer.from("meta") }))
      gone.push(page[page.length - 1]?.[0] as Uint8Array);
    await db.write([{ type: "del", key: gone[0] as Uint8Array }]);
    await db.close();
    await m.open();
    expect(picture(m)).toEqual(before);
    expect(told).toEqual([expect.stringContaining("records with sum")]);
    expect(await readdir(m.dir)).toContain("state-damaged");
  });

  it("of another history than the log's is rebuilt from the log", async () => {
    const told: string[] = [];
    const m = await leading({ onRecovered: (why) => told.push(why) });
    m.fill(20);
    m.commit();
    await m.store.close();
    m.log.entries = m.log.entries.map((entry) => (entry.index > 10 ? { ...entry, term: 2 } : entry));
    await m.open();
    expect(told).toEqual(["the state is of entry 21 in term 1, the log has that entry in term 2"]);
    expect(m.store.applied).toBe(21);
    const replayed = await OneMember.start();
    members.push(replayed);
    replayed.log.entries = [...m.log.entries];
    replayed.commit();
    expect(picture(m)).toEqual(picture(replayed));
  });

  it("with a log that begins too late is lost, and says what to do", async () => {
    const m = await leading();
    m.fill(50);
    m.commit();
    await m.store.close();
    const log = new HandLog();
    log.base = { index: 40, term: 1 };
    const options = { dir: join(m.dir, "other"), now: Date.now, drawBits: () => "", flushMs: 5, flushRows: 10, keepEntries: 1 };
    const more = { ...options, snapshotEveryEntries: 10, maxInFlight: 1, onFatal: () => undefined as never };
    await expect(openEventStore(more, boxRegistry, log, await openSnapshots(join(m.dir, "none")))).rejects.toThrow(
      "the state ends at 0, there is no snapshot, and the log begins at 41: replace this member",
    );
    await m.open();
  });

  it("that another process holds is not taken for damaged", async () => {
    const m = await leading();
    await expect(m.open()).rejects.toThrow("Database failed to open");
    expect(await readdir(m.dir)).toEqual(["snap", "state"]);
  });
});

describe("a snapshot", () => {
  it("makes another member equal, answers to old requests included", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    expect(meta).toMatchObject({ id: { index: 153, term: 1 }, digest: leader.store.stateDigest().digest });
    const other = await OneMember.start();
    members.push(other);
    other.fill(5, 3);
    other.commit();
    await carry(meta, leader.snapshots, other.snapshots);
    const changed: string[] = [];
    other.store.onApplied((things) => changed.push(...things));
    await other.store.stateMachine.restore(meta, other.snapshots);
    expect(picture(other)).toEqual(picture(leader));
    expect(other.store.stateMachine.applied).toBe(153);
    expect(new Set(changed)).toEqual(
      new Set(["box/b0", "box/b2", "box/b3", "box/b4", "box/b5", "box/b6", "box/b7", "box/b8", "box/b9", "box/b1"]),
    );
    other.log.base = meta.id;
    other.log.entries = [];
    other.committed = 153;
    other.term = 1;
    await other.restart();
    expect(picture(other)).toEqual(picture(leader));
    other.lead();
    expect(await other.ask({ type: "AddToBox", id: "b2", amount: 3 }, "r2")).toMatchObject({
      ok: true,
      replayed: true,
      index: 153,
    });
  });

  it("does not stop apply while it is streamed, and is of one moment", async () => {
    const m = await leading();
    await someLife(m);
    const streaming = m.snapshot();
    await new Promise(setImmediate);
    m.fill(200);
    m.commit();
    const meta = await streaming;
    expect(m.store.applied).toBe(353);
    const other = await OneMember.start();
    members.push(other);
    other.log.entries = [...m.log.entries];
    other.commit(meta.id.index);
    expect(other.store.stateDigest()).toEqual({ index: meta.id.index, digest: meta.digest });
    other.commit();
    expect(picture(other)).toEqual(picture(m));
  });

  it("installed but not yet restored when the process died is restored at open", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const other = await OneMember.start();
    members.push(other);
    await carry(meta, leader.snapshots, other.snapshots);
    other.log.base = meta.id;
    other.committed = meta.id.index;
    await other.restart();
    expect(picture(other)).toEqual(picture(leader));
  });

  it("cut off at any write leaves the old state or the new one", async () => {
    const leader = await leading();
    await someLife(leader);
    leader.fill(2_000, 2_000);
    leader.commit();
    const meta = await leader.snapshot();
    const after = picture(leader);
    const outcomes = new Set<string>();
    for (let allowed = 0; allowed < 4; allowed++) {
      let left = Number.POSITIVE_INFINITY;
      const wrapDb = (db: StateDb): StateDb => ({
        ...db,
        write: (ops) => (left-- > 0 ? db.write(ops) : Promise.reject(new Error("cut off"))),
      });
      const other = await OneMember.start({ wrapDb });
      members.push(other);
      other.fill(5, 3);
      other.commit();
      await other.store.flush();
      const old = picture(other);
      await carry(meta, leader.snapshots, other.snapshots);
      left = allowed;
      const failed = await other.store.stateMachine.restore(meta, other.snapshots).then(
        () => false,
        () => true,
      );
      left = Number.POSITIVE_INFINITY;
      // without the snapshot at hand, the folder shows what it has of its own
      other.snapshots = await openSnapshots(join(other.dir, "none"));
      await other.crash();
      expect(picture(other)).toEqual(failed ? old : after);
      outcomes.add(failed ? "old" : "new");
    }
    expect(outcomes).toEqual(new Set(["old", "new"]));
  });

  it("whose records were tampered with is not taken", async () => {
    const leader = await leading();
    await someLife(leader);
    const meta = await leader.snapshot();
    const tampered = { ...meta, digest: meta.digest.replace(/^./, (c) => (c === "0" ? "1" : "0")) };
    const wrong = await leader.snapshots.create(meta.id, meta.membership, tampered.digest, readRows(leader.snapshots, meta));
    const other = await OneMember.start();
    members.push(other);
    const before = picture(other);
    await carry(wrong, leader.snapshots, other.snapshots);
    await expect(other.store.stateMachine.restore(wrong, other.snapshots)).rejects.toThrow(/should have digest/);
    expect(picture(other)).toEqual(before);
  });
});

describe("the log's horizon", () => {
  it("moves up behind snapshot and flush, keeping the entries asked for", async () => {
    const m = await leading({ snapshotEveryEntries: 100, keepEntries: 30 });
    for (let round = 0; round < 12; round++) {
      m.fill(50);
      m.commit();
      await new Promise((f) => setTimeout(f, 15));
    }
    await expect.poll(() => m.log.first()).toBeGreaterThan(400);
    const newest = m.snapshots.latest()?.id.index ?? 0;
    expect(m.log.first()).toBe(newest - 30 + 1);
    const history = await m.store.history("box", "b1", 1, 1_000);
    expect(history[0]).toBeGreaterThanOrEqual(m.log.first());
    const before = picture(m);
    await m.restart();
    expect(picture(m)).toEqual(before);
  });

  it("takes history and digests of compacted entries along", async () => {
    const m = await leading({ snapshotEveryEntries: 200, keepEntries: 5, flushMs: 1 });
    const keys = async (): Promise<number> => {
      await m.store.close();
      const db = await openLevelState(m.state);
      let n = 0;
      for await (const page of db.scan({ gte: Buffer.from([0]), lt: Buffer.from("meta") })) n += page.length;
      await db.close();
      await m.open();
      return n;
    };
    for (let i = 0; i < 30; i++) {
      m.fill(6);
      m.commit();
      await m.store.flush();
    }
    const before = await keys();
    m.fill(30);
    m.commit();
    await expect.poll(() => m.log.first()).toBeGreaterThan(180);
    await m.store.flush();
    expect(await keys()).toBeLessThan(before / 4);
  });
});
