/** Requests about backups at a member whose repository lacks what the cluster has recorded. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { reject, type Rejection } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import { memberOf, operator } from "@aether/core/testing/rules-bench";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { BackedUp, home as cluster } from "@aether/store/backup/testing/backed-up";
import type { EventStore } from "@aether/store/types";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { CatchUp } from "./catch-up.ts";
import type { PeerCopy } from "./copies.ts";
import { LastMoment } from "./last-moment.ts";
import { diffBackup, listBackups, pushBackup, showBackup, triggerBackup, verifyBackup, type BackupDeps } from "./operations.ts";
import { RepositoryHome } from "./repository-home.ts";
import { planRestoration } from "./restore-operations.ts";

/** n2, over a store that has applied everything, while n1 alone has the repository that is written. */
class Lagging {
  readonly n1: BackedUp;
  readonly home: RepositoryHome;
  readonly d: BackupDeps;
  /** Of n1's: files that were read. */
  fetched = 0;
  answers = true;
  /** Before a file of n1's is read. */
  slow: Promise<void> = Promise.resolve();
  /** No request waits any longer. */
  late: Promise<void> = new Promise(() => undefined);
  quorum: Rejection | null = null;
  now = 0;
  /** Where the log begins that this member still holds. */
  logFrom: number | null = null;
  pushed = 0;

  private constructor(n1: BackedUp) {
    this.n1 = n1;
    this.home = new RepositoryHome(join(n1.dir, "..", "n2", "backup.git"));
    const catchUp = new CatchUp({
      store: this.store,
      node: "n2",
      home: this.home,
      peers: () => this.peers(),
      writes: () => false,
      stopTidying: () => Promise.resolve(),
      now: () => this.now,
      pause: (ms) => {
        this.now += ms;
        return new Promise((resume) => setImmediate(resume));
      },
      patience: () => this.late,
    });
    this.d = {
      registry,
      node: "n2",
      cluster,
      store: this.store,
      gateway: {
        barrier: () => Promise.resolve(this.quorum ?? this.store.applied),
        settle: async () => {
          const { applied: index } = this.store;
          await this.backUp();
          return { ok: true, index: index + 1, version: 1, changed: true, replayed: false };
        },
      },
      backups: {
        settings: { remote: "https://git.example/home.git" },
        home: this.home,
        readings: new Set(),
        moments: new LastMoment(),
        newest: (ms: number) => catchUp.newest(ms),
        pushNow: () => {
          this.pushed++;
          return this.home.head().then((head) => ({ ok: true, pushed: head ?? "" }));
        },
        reader: async () => {
          await this.home.repository();
          return BackupReader.open(this.home.dir, registry);
        },
      },
    } as unknown as BackupDeps;
  }

  static async start(): Promise<Lagging> {
    return new Lagging(await BackedUp.start());
  }

  private get store(): EventStore {
    const from = (): number | null => this.logFrom;
    return new Proxy(this.n1.member.store, {
      get: (store, name) => {
        const value: unknown = Reflect.get(store, name, store);
        if (name === "stats" && from() !== null) return () => ({ ...store.stats(), first: from() });
        return typeof value === "function" ? (value.bind(store) as unknown) : value;
      },
    });
  }

  private peers(): readonly PeerCopy[] {
    const n1 = new RepositoryHome(this.n1.dir);
    const read = async function* (this: Lagging, name: string) {
      this.fetched++;
      await this.slow;
      yield await readFile(join(this.n1.dir, "objects/pack", name));
    };
    const listing = () => (this.answers ? n1.listing(true) : Promise.reject(new Error("n1 does not answer")));
    return [{ node: "n1", member: 1, source: { listing, read: read.bind(this) } }];
  }

  /** Written by n1 and recorded; gives the commit. */
  async backUp(): Promise<string> {
    await this.n1.ask({ type: "RequestBackup", id: "home", cause: "asked for" });
    const made = await this.n1.writer.backup("asked for");
    if (made === null) throw new Error("nothing had changed");
    const { commit, index: upTo, bytes, things, changed } = made;
    const facts = { commit, upTo, tookMs: 1, bytes, things, changed, holders: ["n1", "n3"], note: "" };
    await this.n1.ask({ type: "RecordBackup", id: "home", ...facts }, memberOf("n1"));
    return commit;
  }

  /** n2's folder lies in n1's. */
  end(): Promise<void> {
    return this.n1.end();
  }
}

describe("a member that lacks what the cluster has recorded", () => {
  let n2: Lagging;
  let first: string;
  let last: string;
  beforeEach(async () => {
    n2 = await Lagging.start();
    await n2.n1.set("app/a", 1);
    first = await n2.backUp();
    await n2.n1.set("app/a", 2);
    last = await n2.backUp();
  });
  afterEach(() => n2.end());

  it("fetches it once for everybody who asks at that time, and answers each", async () => {
    const { d } = n2;
    const asked = { commit: last.slice(0, 12) };
    const answers = await Promise.all([
      showBackup(d, last.slice(0, 8)),
      diffBackup(d, first, { to: last }),
      verifyBackup(d),
      planRestoration(d, asked),
      planRestoration(d, {}),
      listBackups(d),
    ]);
    expect(answers).toMatchObject([
      { commit: last, parent: first, changesTotal: 1 },
      { from: first, to: last, changed: 1 },
      { commit: last, sound: true },
      { source: { commit: last } },
      { source: { commit: last } },
      { head: last, backups: [{ commit: last }, { commit: first }] },
    ]);
    const packs = (await n2.home.packs.list()).length;
    expect(n2.fetched).toBe(packs);
  });

  it("has a backup itself when it says that it was made", async () => {
    await n2.n1.set("app/a", 3);
    const asked = { caller: operator, requestKey: null, ifMatch: null };
    const made = await triggerBackup(n2.d, asked, "asked for");
    expect(made).toMatchObject({ new: true, holders: ["n1", "n3"] });
    expect(await n2.home.head()).toBe((made as { commit: string }).commit);
    n2.answers = false;
    await n2.n1.set("app/a", 4);
    expect(await triggerBackup(n2.d, asked, "asked for")).toMatchObject({ new: true });
  });

  it("answers what it has without asking anybody", async () => {
    const { d } = n2;
    await verifyBackup(d);
    await n2.n1.set("app/a", 3);
    await n2.backUp();
    [n2.answers, n2.quorum] = [false, reject("no_leader", "no leader is known")];
    expect(await showBackup(d, first.slice(0, 8))).toMatchObject({ commit: first });
    expect(await verifyBackup(d, last)).toMatchObject({ commit: last, sound: true });
    expect(await listBackups(d)).toMatchObject({ head: last });
  });

  it("says who holds it when it cannot be had, and knows again what nobody has once it can", async () => {
    const { d } = n2;
    n2.answers = false;
    const lacking = { reason: "not_ready", hint: expect.stringMatching(/^n1, n3 hold it: ask there/) as string };
    expect(await showBackup(d, last.slice(0, 8))).toMatchObject(lacking);
    expect(await verifyBackup(d)).toMatchObject(lacking);
    expect(await planRestoration(d, { commit: last })).toMatchObject(lacking);
    // it may be the name of what is lacking
    expect(await planRestoration(d, { commit: "fffffff" })).toMatchObject(lacking);
    expect(await pushBackup(d, true)).toMatchObject(lacking);
    expect(n2.pushed).toBe(0);
    // whoever wants what is here gets it off this machine
    expect(await pushBackup(d, false)).toMatchObject({ forced: false });
    expect(await listBackups(d)).toMatchObject({ head: null, backups: [], last: { commit: last } });
    n2.answers = true;
    // not at once again after one in vain
    expect(await showBackup(d, last)).toMatchObject(lacking);
    n2.now += 5_000;
    expect(await showBackup(d, last)).toMatchObject({ commit: last });
    expect(await planRestoration(d, { commit: "fffffff" })).toMatchObject({ reason: "not_found" });
  });

  it("lets nobody wait for ever for a fetch that goes on", async () => {
    const { d } = n2;
    let come: () => void = () => undefined;
    n2.slow = new Promise((resolve) => (come = resolve));
    n2.late = Promise.resolve();
    expect(await showBackup(d, last)).toMatchObject({
      reason: "not_ready",
      message: expect.stringContaining("it is being fetched") as string,
    });
    expect(await listBackups(d)).toMatchObject({ head: null });
    n2.late = new Promise(() => undefined);
    const waiting = showBackup(d, last);
    come();
    expect(await waiting).toMatchObject({ commit: last });
    expect(n2.fetched).toBe((await n2.home.packs.list()).length);
  });

  it("fetches what leads to an index that its own log does not reach back to", async () => {
    const shown = await showBackup({ ...n2.d, backups: { ...n2.d.backups, newest: () => Promise.resolve(null) } }, last);
    expect(shown).toMatchObject({ reason: "not_found" });
    const { index } = (await (await n2.n1.reader()).manifest(last)) as { index: number };
    n2.logFrom = index + 1;
    expect(await planRestoration(n2.d, { atIndex: index })).toMatchObject({ source: { index } });
    expect(await planRestoration(n2.d, { atIndex: index - 1 })).toMatchObject({ reason: "compacted" });
  });

  it("does not say that there is no such commit when nobody can be asked", async () => {
    const { d } = n2;
    await verifyBackup(d);
    n2.quorum = reject("no_leader", "no leader is known", "an election is short");
    expect(await showBackup(d, "fffffff")).toMatchObject({ reason: "not_ready", hint: "an election is short" });
    expect(await verifyBackup(d)).toMatchObject({ commit: last, sound: true });
    n2.quorum = null;
    expect(await showBackup(d, "fffffff")).toMatchObject({ reason: "not_found" });
  });
});
