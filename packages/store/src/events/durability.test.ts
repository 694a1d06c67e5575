import { cp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { Kind } from "@aether/raft/types";
import { boxRegistry, filled } from "./testing/box-noun.ts";
import { HandLog, OneMember, operator, picture, someLife } from "./testing/one-member.ts";
import type { MemberOptions } from "./testing/one-member.ts";
import { encodeEntry } from "./entry-codec.ts";
import { sessionLimits } from "./sessions.ts";
import { eventLoop } from "./timing.ts";
import { kindRange, openLevelState } from "./state-db.ts";
import type { StateDb } from "./state-db.ts";
import { openEventStore, openEventStoreOn, setAside } from "./open.ts";
import { openSnapshots } from "../snapshots.ts";

const members: OneMember[] = [];
const leading = async (options: MemberOptions = {}): Promise<OneMember> => {
  const member = await OneMember.start(options);
  members.push(member);
  member.lead();
  return member;
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

  it("lets others have their turn between rows, sooner when these are large", async () => {
    const turnsOf = async (rows: number, chars: number): Promise<number> => {
      let turns = 0;
      const timing = { ...eventLoop, immediate: (f: () => void) => (turns++, eventLoop.immediate(f)) };
      const m = await leading({ flushMs: 60_000, flushRows: 1_000_000, timing });
      for (let i = 0; i < rows; i++) {
        const events = [filled(`b${i}`, i, "x".repeat(chars))];
        m.append(Kind.normal, encodeEntry({ at: 1_000 + i, actor: operator, cause: "FillBox", request: null, events }));
      }
      m.commit();
      const before = turns;
      await m.store.flush();
      expect([m.store.stats().flushed, m.store.world.count("box")]).toEqual([rows + 1, rows]);
      return turns - before;
    };
    const [few, large] = [await turnsOf(20, 10), await turnsOf(20, 600_000)];
    // each is hashed, and written, in a step of its own
    expect(large).toBeGreaterThan(few + 30);
    expect(few).toBeLessThan(10);
  });

  it("tells raft only of what is on disk, so that the log is never cut too far", async () => {
    const m = await leading({ flushMs: 60_000 });
    m.fill(20);
    m.commit();
    expect([m.store.applied, m.store.stateMachine.applied]).toEqual([21, 0]);
    expect(await m.store.flush()).toBe(21);
    expect(m.store.stateMachine.applied).toBe(21);
  });

  it("is one write: wherever it is cut off, rows and applied index are of one moment", async () => {
    const told: string[] = [];
    let left = Number.POSITIVE_INFINITY;
    const wrapDb = (db: StateDb): StateDb => ({
      ...db,
      write: (ops) => (left-- > 0 ? db.write(ops) : Promise.reject(new Error("cut off"))),
    });
    for (const [allowed, opened] of [[0, 21] as const, [1, 41] as const]) {
      left = Number.POSITIVE_INFINITY;
      const m = await leading({ wrapDb, flushMs: 60_000, onRecovered: (why) => told.push(why) });
      m.fill(20);
      m.commit();
      await m.store.flush();
      m.fill(20);
      m.commit();
      const before = picture(m);
      left = allowed;
      await m.store.flush();
      left = Number.POSITIVE_INFINITY;
      m.fatal = null;
      await m.crash();
      expect(told).toEqual([]);
      expect(m.openedAt).toBe(opened);
      expect(picture(m)).toEqual(before);
    }
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

  it("does not hold up apply, and loses nothing that is applied meanwhile", async () => {
    let open = (): void => undefined;
    let gate: Promise<void> | null = null;
    const wrapDb = (db: StateDb): StateDb => ({ ...db, write: async (ops) => (await gate, db.write(ops)) });
    const m = await leading({ wrapDb, flushMs: 60_000 });
    m.fill(30, 3);
    m.commit();
    gate = new Promise((resolve) => (open = resolve));
    const flushing = m.store.flush();
    await new Promise(setImmediate);
    m.fill(30, 3);
    m.commit();
    const during = [await m.store.auditRange(1, 45), await m.store.history("box", "b1", 1, 100)];
    gate = null;
    open();
    expect(await flushing).toBe(31);
    const after = [await m.store.auditRange(1, 45), await m.store.history("box", "b1", 1, 100)];
    expect(after).toEqual(during);
    expect(after).toMatchObject([{ from: 1, to: 45 }, { length: 20 }]);
    const before = picture(m);
    await m.restart();
    expect([picture(m), await m.store.auditRange(1, 45)]).toEqual([before, after[0]]);
  });

  it("keeps on disk the answers of the window and no others", { timeout: 120_000 }, async () => {
    const m = await leading({ flushMs: 60_000 });
    const answersOnDisk = async (): Promise<number> => {
      await m.store.close();
      const db = await openLevelState(m.state);
      let bytes = 0;
      for await (const page of db.scan(kindRange(1, "s"))) for (const [, value] of page) bytes += value.length;
      await db.close();
      await m.open();
      return bytes;
    };
    let asked = 0;
    const life = async (requests: number): Promise<void> => {
      for (const until = asked + requests; asked < until; asked++) {
        const request = { client: `c${asked % 64}`, id: `r${asked}`, fingerprint: "f", version: 1 };
        m.append(0, encodeEntry({ at: 1_000, actor: operator, cause: "FillBox", request, events: [filled("a", asked)] }));
        if (asked % 10_000 === 0) m.commit();
        if (asked % 10_000 === 0) await m.store.flush();
      }
      m.commit();
    };
    await life(sessionLimits.window);
    const full = await answersOnDisk();
    await life(30_000);
    const before = picture(m);
    expect(m.store.stats().sessions).toBe(sessionLimits.window);
    // at most one flush of them may be out of the window already
    expect(await answersOnDisk()).toBeLessThan(full * 1.2);
    expect(picture(m)).toEqual(before);
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

  it("and once more, though nothing happened in between", async () => {
    const m = await leading();
    await someLife(m);
    const before = picture(m);
    for (let i = 0; i < 3; i++) {
      await m.restart();
      expect([m.store.stateMachine.applied, picture(m)]).toEqual([153, before]);
    }
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

  it("that a full disk does not let open is not taken for damaged: its rows stay where they are", async () => {
    const told: string[] = [];
    const m = await leading({ onRecovered: (why) => told.push(why) });
    await m.store.close();
    const cause = Object.assign(new Error("IO error: MANIFEST-000009: No space left on device"), { code: "LEVEL_IO_ERROR" });
    const full = Object.assign(new Error("Database failed to open", { cause }), { code: "LEVEL_DATABASE_NOT_OPEN" });
    const parts = { dir: m.state, now: Date.now, drawBits: () => "", flushMs: 5, flushRows: 10, keepEntries: 1, maxInFlight: 1 };
    const options = {
      ...parts,
      snapshotEveryEntries: 10,
      onFatal: () => undefined as never,
      onRecovered: (why: string) => told.push(why),
    };
    const folders = { open: () => Promise.reject(full), setAside };
    await expect(openEventStoreOn(folders, options, boxRegistry, m.log, m.snapshots)).rejects.toBe(full);
    expect([told, (await readdir(m.dir)).toSorted()]).toEqual([[], ["snap", "state"]]);
    await m.open();
  });
});
