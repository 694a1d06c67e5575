import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { planRestore } from "@aether/core/backup/plan";
import type { WantedThing } from "@aether/core/backup/thing-files";
import { decideRecover } from "@aether/core/cluster/recover";
import { type Command, isRejection } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import { admittedJson } from "@aether/core/testing/admitted-json";
import { memberOf, readyCluster, type RulesBench } from "@aether/core/testing/rules-bench";
import * as fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { alone, carry, OneMember } from "../events/testing/one-member.ts";
import { noPace } from "../pace.ts";
import { BackupReader } from "./backup-reader.ts";
import { BackupWriter } from "./backup-writer.ts";
import { BackedUp, fsck, git, home } from "./testing/backed-up.ts";
import { plainStore } from "./testing/plain-store.ts";
import { filesOfCommit, filesOfWorld } from "./testing/world-files.ts";
import type { BackupMade } from "./types.ts";

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

const folder = (): string => {
  const dir = mkdtempSync(join(tmpdir(), "aether-story-"));
  ends.push(() => rmSync(dir, { recursive: true }));
  return dir;
};

async function start(): Promise<BackedUp> {
  const b = await BackedUp.start();
  ends.push(() => b.end());
  return b;
}

const key = fc.constantFrom("cpu_warning", "app/x", "app/y", "app/z", "app/y/deeper");
const change: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("SetSetting"),
      id: key,
      value: admittedJson,
      description: fc.constantFrom("", "why"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("RemoveSetting"), id: key }) },
  fc.record({ type: fc.constant("DrainNode"), id: fc.constantFrom("n1", "n2", "n3"), reason: fc.constant("") }),
  fc.record({ type: fc.constant("UndrainNode"), id: fc.constantFrom("n1", "n2", "n3") }),
);
const contact = fc.record({
  type: fc.constant("RecordContact"),
  id: fc.constantFrom("n2", "n3"),
  contact: fc.constantFrom("suspected", "reachable", "lost"),
});

/** Some commands, and what happens to writer and repository before the next backup. */
const chapter = fc.record({
  commands: fc.array(fc.oneof({ weight: 5, arbitrary: change }, contact), { maxLength: 6 }),
  next: fc.constantFrom("goes on", "goes on", "goes on", "is opened anew", "is packed by git", "is reset"),
  force: fc.boolean(),
});

async function tell(b: BackedUp, commands: readonly Command[]): Promise<void> {
  // some are refused, which changes nothing
  for (const command of commands)
    await b.member.ask(command, null, command.type === "RecordContact" ? memberOf("n1") : undefined);
}

describe("the story of a cluster in backups", { timeout: 120_000 }, () => {
  it("is sound at every step, to git and to us, and says at each what was wanted then", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chapter, { minLength: 3, maxLength: 6 }), async (chapters) => {
        const b = await start();
        const told = new Map<string, Map<string, string>>();
        for (const { commands, next, force } of chapters) {
          await tell(b, commands);
          const made = await b.writer.backup(next, { force });
          const now = filesOfWorld(b.member.store.world);
          if (made !== null) {
            told.set(made.commit, now);
            expect(filesOfCommit(b.dir)).toEqual(now);
            expect(made.index).toBe(b.member.store.applied);
          } else if (told.size > 0) expect(wantedOnly(filesOfCommit(b.dir))).toEqual(wantedOnly(now));
          expect(fsck(b.dir)).toBe("");
          if (made !== null) execFileSync("git", ["clone", "--quiet", "--bare", b.dir, join(folder(), "clone")]);
          expect(b.writer.dirty).toBe(false);
          if (next === "is packed by git") b.git("gc", "--quiet", "--prune=now");
          if (next === "is reset") b.writer.reset();
          if (next === "is opened anew") {
            b.writer.close();
            await b.open();
          }
        }
        const clone = join(folder(), "clone");
        execFileSync("git", ["clone", "--quiet", "--bare", b.dir, clone]);
        const reader = await BackupReader.open(clone, registry);
        for (const [commit, files] of told) {
          expect(filesOfCommit(clone, commit)).toEqual(files);
          expect(await reader.verify(commit)).toMatchObject({ sound: true });
        }
      }),
      { numRuns: 8 },
    );
  });

  it("is the same whoever writes it: another member, that goes through everything, makes the same commits", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chapter, { minLength: 2, maxLength: 4 }), async (chapters) => {
        const b = await start();
        const other = await OneMember.start({ registry });
        ends.push(() => other.end());
        const dir = join(folder(), "backup.git");
        for (const { commands, force } of chapters) {
          await tell(b, commands);
          // what the leader has committed, in batches of another size
          const { applied } = other.store;
          for (const entry of b.member.log.entries.filter(({ index }) => index > applied))
            other.store.stateMachine.apply([entry], alone);
          const made = await b.writer.backup("the same", { force });
          const writer = await BackupWriter.open({ dir, store: other.store, registry, cluster: home, pace: noPace });
          const again = await writer.backup("the same", { force });
          writer.close();
          const facts = (one: BackupMade | null): unknown => one && { ...one, tookMs: 0, bytes: 0 };
          expect(facts(again)).toEqual(facts(made));
          // the other does not go on from its own commit, but from the leader's
          rmSync(dir, { recursive: true });
          cpSync(b.dir, dir, { recursive: true });
        }
      }),
      { numRuns: 6 },
    );
  });

  it("restored into another cluster and backed up there is the same tree of what is wanted", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(change, { maxLength: 12 }), fc.array(change, { maxLength: 12 }), async (before, after) => {
        const [bench, other] = [readyCluster(3), readyCluster(3)];
        for (const command of before) bench.try(command);
        for (const command of after) other.try(command);
        const first = await backedUp(bench);
        const things: WantedThing[] = [];
        for await (const thing of first.reader.things(first.made.commit)) things.push(thing);
        const plan = planRestore(registry, other.world, things, () => true);
        expect(plan.kept).toEqual([]);
        other.world.apply(plan.things.flatMap(({ events }) => events));
        const second = await backedUp(other);
        expect(second.made.wanted).toBe(first.made.wanted);
        expect(git(second.dir, "rev-parse", "HEAD:settings")).toBe(git(first.dir, "rev-parse", "HEAD:settings"));
      }),
      { numRuns: 15 },
    );
  });

  it("goes on where thousands of things have changed at once, and takes away those that are gone", async () => {
    const b = await start();
    await b.writer.backup("one");
    const ids = Array.from({ length: 2_500 }, (_, i) => `many/${i}`);
    for (const id of ids) await b.set(id, id);
    const many = await b.writer.backup("two");
    expect(many).toMatchObject({ changed: 2_500, things: 2_510 });
    expect(filesOfCommit(b.dir)).toEqual(filesOfWorld(b.member.store.world));
    for (const id of ids.slice(10)) await b.ask({ type: "RemoveSetting", id });
    const few = await b.writer.backup("three");
    expect(few).toMatchObject({ changed: 2_490, things: 20 });
    expect(filesOfCommit(b.dir)).toEqual(filesOfWorld(b.member.store.world));
    expect(b.git("log", "--format=%s")).toBe("2490 settings\n2500 settings\ncluster home, 3 nodes, 6 settings\n");
    expect(b.git("log", "-1", "--format=%b")).toContain("removed setting many/10\n");
    expect(b.git("log", "-1", "--format=%b")).toContain("and 2470 more\n");
  });

  it("is told while entries are applied: what changes meanwhile is in the next", async () => {
    const b = await start();
    for (let i = 0; i < 300; i++) await b.set(`app/${i}`, i);
    let done = false;
    const running = b.writer.backup("all").finally(() => (done = true));
    // at least one more comes after it
    for (let i = 0, more = true; more && i < 300; i += 3) {
      more = !done;
      await b.set(`app/${i}`, "changed");
      await b.set(`later/${i}`, i);
      await b.ask({ type: "RemoveSetting", id: `app/${i + 1}` });
    }
    const made = await running;
    await b.set("later/last", 1);
    expect(made?.index).toBeLessThan(b.member.store.applied);
    expect(JSON.parse(b.git("show", "HEAD:manifest.json"))).toMatchObject({ index: made?.index });
    expect(b.writer.dirty).toBe(true);
    await b.writer.backup("the rest");
    expect(filesOfCommit(b.dir)).toEqual(filesOfWorld(b.member.store.world));
    expect(fsck(b.dir)).toBe("");
  });
});

describe("a member whose rows are replaced by a snapshot", () => {
  it("compares them all with the newest commit, and goes on in the same line", async () => {
    const b = await start();
    const made = await b.writer.backup("one");
    await b.set("app/x", 1);
    await b.ask({ type: "RemoveSetting", id: "cpu_warning" });
    const behind = await OneMember.start({ registry });
    ends.push(() => behind.end());
    const dir = join(folder(), "backup.git");
    cpSync(b.dir, dir, { recursive: true });
    const writer = await BackupWriter.open({ dir, store: behind.store, registry, cluster: home, pace: noPace });
    // it has the commit, and not yet the entries that the commit is of
    await expect(writer.backup("too early")).rejects.toThrow(/this member knows 0 entries/);
    const meta = await b.member.snapshot();
    await carry(meta, b.member.snapshots, behind.snapshots);
    await behind.store.stateMachine.restore(meta, behind.snapshots);
    expect(writer.dirty).toBe(true);
    expect(await writer.backup("two")).toMatchObject({ changed: 2, index: b.member.store.applied });
    expect(filesOfCommit(dir)).toEqual(filesOfWorld(b.member.store.world));
    expect(git(dir, "rev-parse", "HEAD~1").trim()).toBe(made?.commit);
    writer.close();
  });
});

describe("a repository that this cluster cannot go on from", () => {
  it("is left as it is, and the error says why", async () => {
    const b = await start();
    const made = await b.writer.backup("one");
    const refused = async (cluster: { id: string; name: string }, why: RegExp): Promise<void> => {
      b.writer.close();
      await b.open({ cluster });
      await expect(b.writer.backup("two", { force: true })).rejects.toThrow(why);
      expect(b.git("rev-parse", "HEAD").trim()).toBe(made?.commit);
    };
    await refused({ id: "1".repeat(32), name: "other" }, /holds backups of cluster home .* this is other/);
    const behind = readyCluster(1);
    const ahead = await BackupWriter.open({ dir: b.dir, store: plainStore(behind), registry, cluster: home, pace: noPace });
    await expect(ahead.backup("two")).rejects.toThrow(/has a backup of entry \d+, and this member knows \d+/);
    const notOurs = join(folder(), "theirs.git");
    git(tmpdir(), "init", "--quiet", "--bare", "--initial-branch=main", notOurs);
    const tree = git(notOurs, "hash-object", "-t", "tree", "-w", "/dev/null").trim();
    const who = ["-c", "user.name=x", "-c", "user.email=x@x"];
    git(notOurs, "update-ref", "refs/heads/main", git(notOurs, ...who, "commit-tree", "-m", "theirs", tree).trim());
    await b.open({ dir: notOurs });
    await expect(b.writer.backup("two")).rejects.toThrow(/it is no backup/);
    expect(git(notOurs, "log", "--format=%s")).toBe("theirs\n");
  });
});

describe("a cluster that was recovered from one disk", () => {
  it("goes on with the backups of the one that it was, also when their newest is of an entry that it does not have", async () => {
    const b = await start();
    for (let value = 0; value < 5; value++) await b.set("app/x", value);
    const old = await b.writer.backup("one");
    const bench = readyCluster(1);
    const id = "cd".repeat(16);
    const upTo = bench.world.index;
    const asked = { old: 1, clusterId: id, member: 4, address: null, upTo, chain: "0".repeat(64) };
    const decision = decideRecover(bench.world, asked);
    if (isRejection(decision)) throw new Error(decision.message);
    bench.world.apply(decision.events);
    expect(old?.index).toBeGreaterThan(bench.world.index);
    const goesOn = { dir: b.dir, store: plainStore(bench), registry, pace: noPace };
    const stranger = await BackupWriter.open({ ...goesOn, store: plainStore(readyCluster(1)), cluster: { id, name: "home" } });
    await expect(stranger.backup("two")).rejects.toThrow(/holds backups of cluster home/);
    const writer = await BackupWriter.open({ ...goesOn, cluster: { id, name: "home" } });
    const made = await writer.backup("two");
    expect(b.git("log", "--format=%H")).toBe(`${made?.commit}\n${old?.commit}\n`);
    expect(JSON.parse(b.git("show", "HEAD:manifest.json"))).toMatchObject({ cluster: { id }, index: bench.world.index });
    expect(fsck(b.dir)).toBe("");
  });
});

const wantedOnly = (files: ReadonlyMap<string, string>): Map<string, string> =>
  new Map([...files].filter(([path]) => !path.startsWith("observed/")));

async function backedUp(bench: RulesBench): Promise<{ made: BackupMade; reader: BackupReader; dir: string }> {
  const dir = join(folder(), "backup.git");
  const writer = await BackupWriter.open({ dir, store: plainStore(bench), registry, cluster: home, pace: noPace });
  const made = await writer.backup("bench");
  if (made === null) throw new Error("there was nothing to back up");
  return { made, reader: await BackupReader.open(dir, registry), dir };
}
