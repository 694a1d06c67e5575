import { backupsOf } from "@aether/core/backup-job/state";
import { memberOf, readyCluster } from "@aether/core/testing/rules-bench";
import type { Pushed } from "@aether/store/git/remote";
import type { EventStore } from "@aether/store/types";
import { describe, expect, it } from "vitest";
import { makeLog } from "../daemon/log.ts";
import { Pusher } from "./pusher.ts";

const commit = (digit: string): string => digit.repeat(40);
const remote = "/mnt/backup.git";

/** A leader whose remote answers what it is told to, in virtual time. */
class Desk {
  readonly bench = readyCluster(3);
  readonly asked: boolean[] = [];
  answer: Pushed = { ok: false, kind: "unreachable", why: "no answer" };
  leads = true;
  now = 0;
  readonly pusher: Pusher;

  constructor(to: string | null = remote) {
    const role = (): object => ({ state: this.leads ? "leader" : "follower", leader: 1 });
    const store = Object.defineProperty({ world: this.bench.world }, "role", { get: role });
    this.pusher = new Pusher({
      cluster: { name: "home" },
      remote: to,
      store: store as unknown as EventStore,
      push: ({ force }) => {
        this.asked.push(force);
        return Promise.resolve(this.answer);
      },
      submit: (command) => {
        this.bench.try(command, memberOf("n1"));
        return Promise.resolve({ ok: true, index: 1, version: 1, changed: true, replayed: false });
      },
      log: makeLog(
        () => undefined,
        () => new Date(0),
      ),
      now: () => this.now,
    });
  }

  record(digit: string): void {
    const { index } = this.bench.world;
    const facts = { tookMs: 1, bytes: 1, things: 1, changed: 1, holders: [], note: "" };
    this.bench.try({ type: "RecordBackup", id: "home", commit: commit(digit), upTo: index, ...facts }, memberOf("n1"));
  }

  taken(digit: string): void {
    this.answer = { ok: true, pushed: commit(digit), objects: 3, bytes: 99 };
  }

  async pass(ms: number): Promise<void> {
    for (const until = this.now + ms; this.now < until; this.now += 200) await this.pusher.look();
  }

  get row() {
    return backupsOf(this.bench.world);
  }
}

describe("a push", () => {
  it("follows each backup, once, and never overwrites by itself", async () => {
    const desk = new Desk();
    await desk.pass(1_000);
    expect(desk.asked).toEqual([]);
    desk.record("a");
    desk.taken("a");
    await desk.pass(60_000);
    expect(desk.row.pushed).toMatchObject({ commit: commit("a"), remote });
    desk.record("b");
    desk.taken("b");
    await desk.pass(60_000);
    expect(desk.row.pushed).toMatchObject({ commit: commit("b") });
    expect(desk.asked).toEqual([false, false]);
  });

  it("that is not taken is told once for each reason, and tried again with pauses that grow", async () => {
    const desk = new Desk();
    desk.record("a");
    const told = () => desk.bench.entries.flat().filter(({ type }) => type === "BackupPushFailed").length;
    await desk.pass(3_600_000);
    expect(desk.row.pushFailed).toMatchObject({ why: "no answer", hint: "it is tried again by itself" });
    // 5, 10, … 320 s, then every ten minutes
    expect(desk.asked.length).toBeGreaterThanOrEqual(10);
    expect(desk.asked.length).toBeLessThanOrEqual(14);
    desk.answer = { ok: false, kind: "diverged", why: "it has commits that are not ours" };
    await desk.pass(3_600_000);
    expect(desk.row.pushFailed?.hint).toContain("--force");
    expect(told()).toBe(2);
    desk.taken("a");
    await desk.pass(600_000);
    expect(desk.row).toMatchObject({ pushFailed: null, pushed: { commit: commit("a") } });
    expect(new Set(desk.asked)).toEqual(new Set([false]));
  });

  it("is the leader's: a new one goes on, and nobody pushes where there is no remote", async () => {
    const desk = new Desk();
    desk.record("a");
    desk.leads = false;
    await desk.pass(60_000);
    expect(desk.asked).toEqual([]);
    desk.leads = true;
    desk.taken("a");
    await desk.pass(1_000);
    expect(desk.asked).toHaveLength(1);
    const none = new Desk(null);
    none.record("a");
    await none.pass(60_000);
    expect(none.asked).toEqual([]);
  });

  it("is forced only by a person, at once, from any member", async () => {
    const desk = new Desk();
    desk.record("a");
    desk.leads = false;
    desk.taken("a");
    expect(await desk.pusher.push(true)).toMatchObject({ ok: true });
    expect(desk.asked).toEqual([true]);
    expect(desk.row.pushed).toMatchObject({ commit: commit("a") });
  });
});
