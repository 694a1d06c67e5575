import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { backupsOf } from "@aether/core/backup-job/state";
import type { Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { memberOf, operator, readyCluster, type RulesBench } from "@aether/core/testing/rules-bench";
import type { Answer, EventStore } from "@aether/store/types";
import { afterAll, describe, expect, it } from "vitest";
import { makeLog } from "../daemon/log.ts";
import { BackupKeeper, settlingMs, type CommitWriter } from "./keeper.ts";
import { mirror, type MirrorSource } from "./mirror.ts";
import { RepositoryHome } from "./repository-home.ts";
import { commitOn } from "./testing/commit-on.ts";

const root = mkdtempSync(join(tmpdir(), "aether-keeper-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let made = 0;

interface Member {
  readonly name: string;
  home: RepositoryHome;
  keeper: BackupKeeper;
  answers: boolean;
  /** Called before a listing that was made is given. */
  listed: () => Promise<void>;
  /** What the next backup fails with. */
  fault: (Error & { code?: string }) | null;
}

/** Three members over one world, in virtual time; backups are real commits of a counter. */
class Fleet {
  readonly bench: RulesBench = readyCluster(3);
  readonly members: Member[];
  readonly lines: string[] = [];
  readonly forced: boolean[] = [];
  leader = 1;
  term = 1;
  now = 0;
  dirty = true;
  /** What members see of the world while they have not caught up. */
  behind: RulesBench["world"] | null = null;
  onPause: () => void = () => undefined;
  private readonly listeners = new Set<(changed: ReadonlySet<string>) => void>();
  private readonly enabled: boolean;

  constructor(enabled = true) {
    this.enabled = enabled;
    this.members = [1, 2, 3].map((id) => this.member(id));
  }

  private member(id: number): Member {
    const home = new RepositoryHome(join(root, `${++made}`, "backup.git"));
    const member = { name: `n${id}`, home, answers: true, listed: () => Promise.resolve(), fault: null } as unknown as Member;
    member.keeper = this.keeperOf(member, id);
    return member;
  }

  keeperOf(member: Member, id: number): BackupKeeper {
    const { bench } = this;
    const behind = (): RulesBench["world"] | null => this.behind;
    const store = {
      get world() {
        return behind() ?? bench.world;
      },
      membership: { voters: [1, 2, 3], outgoing: [], learners: [] },
      onApplied: (f: (changed: ReadonlySet<string>) => void) => {
        this.listeners.add(f);
        return () => this.listeners.delete(f);
      },
    };
    Object.defineProperty(store, "applied", { get: () => bench.world.index });
    Object.defineProperty(store, "role", {
      get: () => ({ state: this.leader === id ? "leader" : "follower", leader: this.leader, term: this.term }),
    });
    return new BackupKeeper({
      cluster: { id: "ab".repeat(16), name: "home" },
      settings: { enabled: this.enabled, intervalMs: 3_600_000, debounceMs: 30_000 },
      store: store as unknown as EventStore,
      home: member.home,
      openWriter: () => Promise.resolve(this.writer(member)),
      caughtUp: () => Promise.resolve(this.behind === null),
      thingsIn: () => Promise.resolve(9),
      peers: () =>
        this.members.flatMap((other, at) =>
          other === member ? [] : [{ node: other.name, member: at + 1, source: sourceOf(other) }],
        ),
      submit: (command) => Promise.resolve(this.submit(command, memberOf(member.name))),
      onRecorded: () => undefined,
      stopTidying: () => Promise.resolve(),
      log: makeLog(
        (line) => this.lines.push(line),
        () => new Date(0),
      ),
      now: () => this.now,
      wallClock: () => this.now,
      // Whoever waits lets the others go on.
      pause: async (ms) => {
        this.now += ms;
        await this.followers();
        this.onPause();
      },
    });
  }

  private writer(member: Member): CommitWriter {
    const isDirty = (): boolean => this.dirty;
    return {
      get dirty() {
        return isDirty();
      },
      backup: async (cause, { force = false } = {}) => {
        if (member.fault !== null) throw member.fault;
        this.forced.push(force);
        if (!this.dirty && !force) return null;
        this.dirty = false;
        const { index } = this.bench.world;
        const commit = await commitOn(member.home, `${cause} ${index}`);
        return { commit, index, at: 0, tookMs: 5, bytes: 100, things: 9, changed: 1, wanted: commit };
      },
      reset: () => undefined,
      close: () => undefined,
    };
  }

  submit(command: Command, actor: Identity): Answer {
    const done = this.bench.try(command, actor);
    if ("rejected" in done) return { ok: false, rejection: done, leader: this.leader };
    const { index } = this.bench.world;
    const changed = new Set(done.events.map(({ id }) => `backup/${id}`));
    if (changed.size > 0) for (const listener of this.listeners) listener(changed);
    return { ok: true, index, version: 1, changed: changed.size > 0, replayed: false };
  }

  set(value: number): void {
    this.bench.try({ type: "SetSetting", id: "app/x", value });
    this.dirty = true;
    for (const listener of this.listeners) listener(new Set(["setting/app/x"]));
  }

  get row() {
    return backupsOf(this.bench.world);
  }

  async followers(): Promise<void> {
    for (const [at, member] of this.members.entries()) if (at + 1 !== this.leader && member.answers) await member.keeper.look();
  }

  /** So many looks of everybody, 200 ms apart. */
  async pass(ms: number): Promise<void> {
    for (const until = this.now + ms; this.now < until; this.now += 200) {
      for (const member of this.members) if (member.answers) await member.keeper.look();
    }
  }

  heads(): Promise<(string | null)[]> {
    return Promise.all(this.members.map(({ home }) => home.head()));
  }
}

const sourceOf = (member: Member): MirrorSource => ({
  listing: async () => {
    if (!member.answers) throw new Error(`${member.name} does not answer`);
    const listing = await member.home.listing(member.keeper.writes);
    await member.listed();
    return listing;
  },
  read: async function* (name) {
    yield await readFile(join(member.home.dir, "objects/pack", name));
  },
});

const trigger = (fleet: Fleet): number => {
  fleet.submit({ type: "RequestBackup", id: "home", cause: "asked for" }, operator);
  return fleet.bench.world.index;
};

describe("the leader", () => {
  it("backs up what changed once it is quiet, and records who holds it", async () => {
    const fleet = new Fleet();
    await fleet.pass(29_000);
    expect(fleet.row.last).toBeNull();
    await fleet.pass(3_000);
    const { commit } = fleet.row.last!;
    expect(fleet.row).toMatchObject({ open: null, failed: null, last: { things: 9, changed: 1, note: "" } });
    expect(fleet.row.last?.holders.length).toBeGreaterThanOrEqual(2);
    await fleet.pass(6_000);
    expect(await fleet.heads()).toEqual([commit, commit, commit]);
  });

  it("lets changes come together, but not for ever", async () => {
    const fleet = new Fleet();
    await fleet.pass(32_000);
    const first = fleet.row.last?.commit;
    for (let at = 0; at < 280; at += 10) {
      fleet.set(at);
      await fleet.pass(10_000);
      expect(fleet.row.last?.commit).toBe(first);
    }
    for (let at = 0; at < 40; at += 10) {
      fleet.set(at);
      await fleet.pass(10_000);
    }
    expect(fleet.row.last?.commit).not.toBe(first);
    expect(fleet.row.last?.upTo).toBeLessThan(fleet.bench.world.index);
  });

  it("writes nothing while nothing is wanted, and every hour all the same", async () => {
    const fleet = new Fleet();
    await fleet.pass(40_000);
    const [{ index }, first] = [fleet.bench.world, fleet.row.last?.commit];
    await fleet.pass(3_000_000);
    expect(fleet.bench.world.index).toBe(index);
    await fleet.pass(700_000);
    expect(fleet.row.last?.commit).not.toBe(first);
    expect(fleet.forced).toEqual([false, true]);
  });

  it("does what it is asked for at once, also when it does nothing by itself, and says when there was nothing to do", async () => {
    const fleet = new Fleet(false);
    await fleet.pass(60_000);
    expect(fleet.row.last).toBeNull();
    const asked = trigger(fleet);
    await fleet.pass(200);
    expect(fleet.row).toMatchObject({ open: null, last: { upTo: asked, bytes: 100 } });
    const { commit } = fleet.row.last!;
    const again = trigger(fleet);
    await fleet.pass(200);
    expect(fleet.row.last).toMatchObject({ commit, upTo: again, bytes: 0, changed: 0, things: 9 });
  });

  it("records what few hold after a while, and who does", async () => {
    const fleet = new Fleet(false);
    for (const member of fleet.members.slice(1)) member.answers = false;
    trigger(fleet);
    const began = fleet.now;
    await fleet.pass(200);
    expect(fleet.now - began).toBeGreaterThanOrEqual(10_000);
    expect(fleet.row.last?.holders).toEqual(["n1"]);
  });

  it("does not count those that answer and have an older one", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    for (const member of fleet.members.slice(1)) member.keeper.stopped = true;
    fleet.dirty = true;
    trigger(fleet);
    await fleet.pass(200);
    expect(fleet.row.last?.holders).toEqual(["n1"]);
  });

  it("says why it cannot, once, and goes on trying by itself", async () => {
    const fleet = new Fleet();
    const [n1] = fleet.members;
    n1!.fault = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    trigger(fleet);
    await fleet.pass(200);
    expect(fleet.row).toMatchObject({ open: null, last: null, failed: { why: "no space left on device" } });
    expect(fleet.row.failed?.hint).toContain(n1!.home.dir);
    const { index } = fleet.bench.world;
    await fleet.pass(600_000);
    // each try is a request and its answer; their pauses double up to five minutes
    expect((fleet.bench.world.index - index) / 2).toBeLessThanOrEqual(8);
    expect((fleet.bench.world.index - index) / 2).toBeGreaterThanOrEqual(5);
    const asked = fleet.bench.entries.flat().filter(({ type }) => type === "BackupRequested");
    expect(new Set(asked.slice(1).map(({ cause }) => cause))).toEqual(new Set(["again after a failure"]));
    n1!.fault = null;
    const last = trigger(fleet);
    await fleet.pass(200);
    expect(fleet.row).toMatchObject({ failed: null, last: { upTo: last } });
  });

  it("waits while a restore is being staged", async () => {
    const fleet = new Fleet(false);
    const source = { commit: null, index: 3, at: 4 };
    fleet.bench.try({ type: "BeginRestore", id: "r1", source, things: 1, parts: 1 }, operator);
    fleet.now = fleet.bench.world.index * 1_000;
    trigger(fleet);
    await fleet.pass(2_000);
    expect(fleet.row).toMatchObject({ last: null });
    fleet.bench.try({ type: "DropRestore", id: "r1" }, operator);
    await fleet.pass(200);
    expect(fleet.row.last).not.toBeNull();
  });
});

describe("a member that does not lead", () => {
  it("whose repository is damaged has it anew from the leader, and keeps what was there", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    const n3 = fleet.members[2]!;
    const packs = join(n3.home.dir, "objects/pack");
    for (const name of readdirSync(packs)) writeFileSync(join(packs, name), "torn");
    n3.home = new RepositoryHome(n3.home.dir);
    n3.keeper = fleet.keeperOf(n3, 3);
    await fleet.pass(2_000);
    expect(await n3.home.head()).toBe(fleet.row.last!.commit);
    expect(readdirSync(join(n3.home.dir, ".."))).toEqual(["backup.git", "backup.git.aside-1"]);
  });

  it("is not taken back by what it began to fetch before somebody brought it up to what is there now", async () => {
    const fleet = new Fleet(false);
    const [n1, , n3] = fleet.members as [Member, Member, Member];
    trigger(fleet);
    await fleet.pass(10_000);
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const isListed = new Promise<void>((resolve) => {
      n1.listed = () => {
        resolve();
        return held;
      };
    });
    for (let count = 1; count <= 3; count++) await commitOn(n1.home, `more ${count}`);
    trigger(fleet);
    const following = n3.keeper.look();
    await isListed;
    n1.listed = () => Promise.resolve();
    const newest = await commitOn(n1.home, "newest");
    const asked = n3.home.exclusive(async () => mirror(n3.home, sourceOf(n1), await n1.home.listing(true)));
    // the one that fetches by the older listing goes on last where nothing holds them apart
    await Promise.race([asked, new Promise((resume) => setTimeout(resume, 50))]);
    goOn();
    await Promise.all([following, asked]);
    expect(await n3.home.head()).toBe(newest);
    expect(readdirSync(join(n3.home.dir, ".."))).toEqual(["backup.git"]);
  });

  it("says once why it cannot follow, and follows when it can", async () => {
    const fleet = new Fleet(false);
    const n3 = fleet.members[2]!;
    rmSync(join(n3.home.dir, ".."), { recursive: true, force: true });
    writeFileSync(join(n3.home.dir, ".."), "a file where the folder should be");
    trigger(fleet);
    await fleet.pass(30_000);
    expect(fleet.lines.filter((line) => line.includes("backup-mirror ")).length).toBe(1);
    expect(fleet.row.last?.holders).toEqual(["n1", "n2"]);
    rmSync(join(n3.home.dir, ".."));
    await fleet.pass(70_000);
    expect(await n3.home.head()).toBe(fleet.row.last!.commit);
  });
});

describe("a new leader", () => {
  it("goes on in the line, and does what the last one was asked for and did not record", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    const { commit } = fleet.row.last!;
    const asked = trigger(fleet);
    fleet.members[0]!.answers = false;
    fleet.leader = 2;
    fleet.dirty = true;
    await fleet.pass(1_000);
    expect(fleet.row).toMatchObject({ open: null, last: { upTo: asked, note: "", holders: ["n2", "n3"] } });
    const repository = await fleet.members[1]!.home.repository();
    expect((await repository.commit(fleet.row.last!.commit)).parents).toEqual([commit]);
    fleet.members[0]!.answers = true;
    await fleet.pass(6_000);
    expect(new Set(await fleet.heads())).toEqual(new Set([fleet.row.last!.commit]));
  });

  it("records what the last one had written, and others hold, as it is", async () => {
    const fleet = new Fleet(false);
    fleet.onPause = () => (fleet.leader = 2);
    const asked = trigger(fleet);
    await fleet.members[0]!.keeper.look();
    const written = await fleet.members[0]!.home.head();
    expect(fleet.row).toMatchObject({ open: { index: asked }, last: null });
    fleet.members[0]!.answers = false;
    await fleet.pass(1_000);
    expect(fleet.row).toMatchObject({ open: null, last: { commit: written, bytes: 0, things: 9, holders: ["n2", "n3"] } });
  });

  it("that does not know yet what was recorded last writes nothing before it does", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    fleet.members[1]!.answers = false;
    fleet.dirty = true;
    const seen = readyCluster(3).world;
    for (const events of fleet.bench.entries.slice(seen.index)) seen.apply(events, { actor: operator });
    trigger(fleet);
    await fleet.pass(10_000);
    const { commit } = fleet.row.last!;
    [fleet.leader, fleet.term, fleet.dirty, fleet.behind] = [2, 2, true, seen];
    fleet.members[1]!.answers = true;
    trigger(fleet);
    await fleet.members[1]!.keeper.look();
    fleet.behind = null;
    await fleet.pass(10_000);
    const repository = await fleet.members[1]!.home.repository();
    expect((await repository.commit(fleet.row.last!.commit)).parents).toEqual([commit]);
  });

  it("which led before, and did not notice that another one has since, goes on from what that one recorded", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    const n1 = fleet.members[0]!;
    n1.answers = false;
    [fleet.leader, fleet.term, fleet.dirty] = [2, 2, true];
    trigger(fleet);
    await fleet.pass(10_000);
    const { commit } = fleet.row.last!;
    n1.answers = true;
    [fleet.leader, fleet.term, fleet.dirty] = [1, 3, true];
    trigger(fleet);
    await fleet.pass(10_000);
    const repository = await n1.home.repository();
    expect((await repository.commit(fleet.row.last!.commit)).parents).toEqual([commit]);
  });

  it("that was behind does not take the others back before it has what they have", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    fleet.members[1]!.answers = false;
    fleet.dirty = true;
    trigger(fleet);
    await fleet.pass(10_000);
    const { commit } = fleet.row.last!;
    expect(await fleet.members[2]!.home.head()).toBe(commit);
    fleet.members[1]!.answers = true;
    fleet.leader = 2;
    fleet.dirty = true;
    trigger(fleet);
    await fleet.members[2]!.keeper.look();
    await fleet.pass(10_000);
    const repository = await fleet.members[1]!.home.repository();
    expect((await repository.commit(fleet.row.last!.commit)).parents).toEqual([commit]);
  });

  it("whose disk is empty has what was recorded from another member before it writes", async () => {
    const fleet = new Fleet(false);
    trigger(fleet);
    await fleet.pass(10_000);
    const { commit } = fleet.row.last!;
    rmSync(fleet.members[1]!.home.dir, { recursive: true });
    fleet.members[1]!.home = new RepositoryHome(fleet.members[1]!.home.dir);
    fleet.members[1]!.keeper = fleet.keeperOf(fleet.members[1]!, 2);
    fleet.leader = 2;
    trigger(fleet);
    fleet.dirty = true;
    await fleet.pass(1_000);
    const repository = await fleet.members[1]!.home.repository();
    expect((await repository.commit(fleet.row.last!.commit)).parents).toEqual([commit]);
  });

  it("waits a while for a member that may have what was recorded, then goes on from what it has and says so", async () => {
    const fleet = new Fleet(false);
    fleet.members[2]!.answers = false;
    fleet.members[1]!.answers = false;
    trigger(fleet);
    await fleet.pass(400);
    const { commit } = fleet.row.last!;
    fleet.members[0]!.answers = false;
    for (const member of fleet.members.slice(1)) member.answers = true;
    fleet.leader = 2;
    fleet.dirty = true;
    trigger(fleet);
    await fleet.pass(settlingMs / 2);
    expect(fleet.row.open).not.toBeNull();
    await fleet.pass(settlingMs);
    expect(fleet.row.last?.note).toContain(`nobody that answers has commit ${commit.slice(0, 12)}`);
    expect(fleet.row.last?.note).toContain("the line begins anew");
  });
});
