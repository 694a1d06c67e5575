/**
 * Real daemons whose disk fails, fills up, or holds another world than everybody else's: each ends with its documented exit
 * code and says what to do, the others go on, and it comes back once the disk is well.
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Failpoint } from "@aether/core/kernel/failpoint";
import { registry } from "@aether/core/registry";
import type { Entry } from "@aether/raft/types";
import { Kind } from "@aether/raft/types";
import { decodeEntry, encodeEntry } from "@aether/store/events/entry-codec";
import { openEventStore } from "@aether/store/events/open";
import { openLog } from "@aether/store/log/open";
import { openSnapshots } from "@aether/store/snapshots";
import { openStreamClient, type StreamClient } from "../client/stream-client.ts";
import { leaderOf, memberFacts, sameDigests } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from "../testing/small-disk.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startWriteLoad, type WriteLoad } from "../testing/write-load.ts";

const settlesMs = 90_000;
const endsMs = 90_000;

// On a crowded machine each start may take many seconds.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 200_000 });

const noDisk = whyNoSmallDisk("ext4");
if (noDisk !== null) console.warn(`SKIPPED, needs root: daemons on a disk that hangs or is full: ${noDisk}`);

/** A cluster of three, a load that never stops, and what tests ask of them. */
class Patient {
  readonly h: ClusterHarness;
  readonly operator: TestClient;
  readonly stream: StreamClient;
  #load: WriteLoad;
  #loads = 0;

  private constructor(h: ClusterHarness, operator: TestClient) {
    this.h = h;
    this.operator = operator;
    this.stream = openStreamClient({ endpoints: h.nodes.map((n) => n.address), tls: operator.tls, deadlineMs: settlesMs });
    this.#load = startWriteLoad(operator, "load0", 2);
  }

  static async form(h: ClusterHarness): Promise<Patient> {
    await h.form();
    return new Patient(h, await h.client("operator"));
  }

  async follower(): Promise<TestNode> {
    const leader = await leaderOf(this.h, this.operator, settlesMs);
    return this.h.nodes.find((node) => node !== leader && node.process !== null) as TestNode;
  }

  /** So many acknowledged writes, as quickly as they go. */
  async burst(count: number): Promise<void> {
    for (let done = 0; done < count;) {
      const ids = Array.from({ length: Math.min(500, count - done) }, (_, n) => n);
      const answers = await Promise.all(ids.map((n) => this.#submit(`burst/${n}`, `${done + n}-${performance.now()}`)));
      done += answers.filter(Boolean).length;
    }
  }

  #submit(id: string, value: string): Promise<boolean> {
    return new Promise((settle) => {
      this.stream.submit({ type: "SetSetting", id, value }, `${id}-${value}`, (answer) => settle(answer.ok));
    });
  }

  /** Something is acknowledged from now on. */
  async goesOn(): Promise<void> {
    const sum = (): number => [...this.#load.acknowledged.values()].reduce((all, value) => all + value, 0);
    const before = sum();
    await eventually("the cluster goes on", settlesMs, () => (sum() > before ? true : undefined));
  }

  /** All take part with the same world at the same index, and every acknowledged write is in it. */
  async isWhole(): Promise<void> {
    await this.#load.stop();
    const [first = "", ...others] = await sameDigests(this.operator, this.h.nodes, settlesMs);
    expect(others).toEqual([first, first]);
    for (const [key, value] of this.#load.acknowledged) {
      const read = await this.operator.any("GET", `/v1/settings/${encodeURIComponent(key)}`);
      expect((read.body as { value: number }).value, key).toBeGreaterThanOrEqual(value);
    }
    this.#load = startWriteLoad(this.operator, `load${++this.#loads}`, 2);
  }

  /** Waits for its end and gives the log's lines since its last start. */
  async lastWords(node: TestNode, code: number): Promise<string> {
    const exit = await this.h.ended(node, endsMs);
    const log = await eventually("its log is written out", settlesMs, () => {
      const text = this.h.logOf(node);
      return / error fatal | info ended /.test(text.slice(text.lastIndexOf(" info starting "))) ? text : undefined;
    });
    expect({ ...exit, log: log.split("\n").slice(-4) }).toMatchObject({ code, signal: null });
    return log.slice(log.lastIndexOf(" info starting "));
  }

  async dispose(): Promise<void> {
    await this.#load.stop();
    this.stream.close();
    await this.h.dispose();
  }
}

describe("a disk that fails under a real daemon", () => {
  let p: Patient;
  let h: ClusterHarness;
  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3, historyKeep: 100 });
    p = await Patient.form(h);
  });
  afterAll(() => p.dispose());

  const failsAt = async (node: TestNode, rule: string, during?: () => Promise<void>): Promise<string> => {
    h.start(node, { AETHER_FAILPOINTS: rule });
    await during?.();
    const words = await p.lastWords(node, 70);
    expect(words).toContain(`rule="${rule}"`);
    return words;
  };

  it("ends it with 70, whichever write the disk refuses, and the cluster goes on", async () => {
    const node = await p.follower();
    await h.kill(node, "SIGKILL");
    const steps: readonly (readonly [place: Failpoint, code: string, nth: number, writes: number])[] = [
      ["beforeAppendSync", "EIO", 3, 0],
      ["beforeGuardSync", "EIO", 3, 0],
      ["beforeFlush", "ENOSPC", 2, 0],
      ["beforeSnapSync", "EIO", 1, 1_200],
      ["beforeSnapRename", "ENOSPC", 1, 10],
      ["beforeCompact", "EIO", 1, 1_200],
    ];
    for (const [place, code, nth, writes] of steps) {
      const words = await failsAt(node, `${place}=error:${code}#${nth}`, () => p.burst(writes));
      expect(words).toMatch(new RegExp(` error fatal .*message=".*${code}: failpoint ${place}.*" next="the disk `));
      expect(words).toMatch(
        code === "EIO" ? /next="the disk under .* fails: look at the kernel's log/ : /next="the disk is full: free some space/,
      );
      await p.goesOn();
    }
    h.start(node);
    await p.isWhole();
    const verdicts = [...h.logOf(node).matchAll(/ verdict node=\w+ verdict=([\w-]+)/g)].map((found) => found[1]);
    expect(verdicts.filter((verdict) => verdict !== "clean" && verdict !== "tornTail")).toEqual([]);
  });

  it("an error while entries are applied ends it too: half an entry must not be served", async () => {
    const node = await p.follower();
    await h.kill(node, "SIGKILL");
    expect(await failsAt(node, "afterApply=error:EIO#5")).toMatch(/ error fatal .*EIO: failpoint afterApply/);
    await p.goesOn();
    h.start(node);
    await p.isWhole();
  });

  it("holds back where nothing was promised: floors are written later, a snapshot is sent again", async () => {
    const node = await p.follower();
    const { applied } = await memberFacts(p.operator, node);
    await h.kill(node, "SIGKILL");
    await p.burst(2_500);
    const leader = await leaderOf(h, p.operator, settlesMs);
    await eventually("the leader's log begins behind it", settlesMs, async () => {
      const { first } = (await p.operator.ask("GET", leader.address, "/v1/member")).body as { first: number };
      return first > applied + 1 ? true : undefined;
    });
    h.start(node, { AETHER_FAILPOINTS: "beforeReceivedSync=error:ENOSPC#1;beforeFloors=error:ENOSPC" });
    await eventually("the snapshot comes again", settlesMs, async () =>
      (await memberFacts(p.operator, node)).applied > applied ? true : undefined,
    );
    await eventually("it says what it holds back", settlesMs, () => {
      const log = h.logOf(node);
      const told = [/ warn peer-snapshot-failed .*ENOSPC/, / error round-failed .*ENOSPC/].filter((line) => line.test(log));
      return told.length === 2 ? true : undefined;
    });
    await p.isWhole();
    await h.kill(node, "SIGKILL");
    h.start(node);
    await p.isWhole();
  });
});

describe("a disk that holds another world", () => {
  it("ends the member with 71; wiped, it is taken in anew", async () => {
    const h = await makeClusterHarness({ size: 3 });
    const p = await Patient.form(h);
    try {
      await p.burst(50);
      const node = await p.follower();
      await p.isWhole();
      const { member } = await memberFacts(p.operator, node);
      await h.kill(node, "SIGTERM");
      await applyAnotherHistory(h, node, member);
      h.start(node);
      // Whole by all its checksums: only the digests at the next checkpoint tell.
      await eventually("it takes part", settlesMs, async () =>
        (await memberFacts(p.operator, node)).role === "follower" ? true : undefined,
      );
      await p.burst(1_100);
      expect(await p.lastWords(node, 71)).toMatch(/ error digest-differs .*own=\w+ theirs=\w+ members="\d+ \d+"/);
      await p.goesOn();
      rmSync(node.dataDir, { recursive: true });
      h.start(node);
      await p.isWhole();
      expect((await memberFacts(p.operator, node)).member).toBeGreaterThan(member);
    } finally {
      await p.dispose();
    }
  });
});

/**
 * Makes the node's rows anew from its own log, with one value altered on the way in, as a defect or a flipped bit in memory
 * could have done: every checksum of the state folder fits what it holds.
 */
async function applyAnotherHistory(h: ClusterHarness, node: TestNode, member: number): Promise<void> {
  rmSync(join(node.dataDir, "state"), { recursive: true });
  const { verdict, storage } = await openLog(node.dataDir, { clusterId: h.clusterId, nodeId: member });
  if (storage === undefined) throw new Error(`the log is ${verdict.v}`);
  const snapshots = await openSnapshots(join(node.dataDir, "snap"));
  const fatal = (error: Error): never => {
    throw error;
  };
  const limits = { flushMs: 60_000, flushRows: 1e6, keepEntries: 1e6, snapshotEveryEntries: 1e6, maxInFlight: 1 };
  const options = { ...limits, dir: join(node.dataDir, "state"), now: () => 0, drawBits: () => "", onFatal: fatal };
  const store = await openEventStore(options, registry, storage.view, snapshots);
  const { index: last } = storage.view.last();
  const membership = { voters: [1, 2, 3], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
  let altered = 0;
  for (let at = 1; at <= last;) {
    const read = storage.view.read(at, last + 1, 1 << 20);
    if (typeof read === "string") throw new Error(`entry ${at} is ${read}`);
    store.stateMachine.apply(
      read.map((entry) => (altered === 0 && isBurst(entry) ? (altered++, altering(entry)) : entry)),
      membership,
    );
    at += read.length;
  }
  expect([altered, await store.flush()]).toEqual([1, last]);
  await store.close();
  await storage.close();
}

const isBurst = (entry: Entry): boolean =>
  entry.kind === Kind.normal && decodeEntry(entry.data).events.some((event) => event.id.startsWith("burst/"));

function altering(entry: Entry): Entry {
  const payload = decodeEntry(entry.data);
  return { ...entry, data: encodeEntry({ ...payload, events: payload.events.map((event) => ({ ...event, value: "another" })) }) };
}

describe.skipIf(noDisk !== null)("a small disk of its own (skipped where no ext4 image can be mounted)", () => {
  let p: Patient;
  let h: ClusterHarness;
  const disks: SmallDisk[] = [];
  /** The leader, to begin with. */
  let node: TestNode;
  let disk: SmallDisk;
  let member = 0;
  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3, historyKeep: 100 });
    for (const { dataDir } of h.nodes) disks.push(mountSmallDisk(dataDir, 64, "ext4"));
    p = await Patient.form(h);
    node = await leaderOf(h, p.operator, settlesMs);
    disk = disks[h.nodes.indexOf(node)] as SmallDisk;
    ({ member } = await memberFacts(p.operator, node));
  });
  afterAll(async () => {
    for (const one of disks) one.unmount();
    await p.dispose();
  });

  it("that hangs under the leader costs it the lead while it hangs, and nothing else", async () => {
    const { pid } = node.process ?? {};
    disk.freeze();
    try {
      await eventually("another one leads", settlesMs, async () =>
        (await leaderOf(h, p.operator, settlesMs)) === node ? undefined : true,
      );
      await p.goesOn();
    } finally {
      disk.thaw();
    }
    await p.isWhole();
    expect(node.process?.pid).toBe(pid);
    node = await leaderOf(h, p.operator, settlesMs);
    disk = disks[h.nodes.indexOf(node)] as SmallDisk;
    ({ member } = await memberFacts(p.operator, node));
  });

  const setAside = (): readonly string[] => readdirSync(node.dataDir).filter((name) => /^retired-|damaged/.test(name));

  it("that is full ends the leader with 70 and a word on what to do, again and again, and costs it nothing", async () => {
    await p.burst(1_500);
    disk.fill();
    const words = await p.lastWords(node, 70);
    expect(words).toMatch(/ error fatal .*No space left on device.* next="the disk is full: free some space where /);
    await p.goesOn();
    expect(await leaderOf(h, p.operator, settlesMs)).not.toBe(node);
    h.start(node);
    expect(await p.lastWords(node, 70)).toMatch(/ error fatal .* next="the disk is full: /);
    expect(setAside()).toEqual([]);
  });

  it("with a few pages left lets it get further, and still condemns nothing", async () => {
    for (const kibibytes of [8, 24, 64, 160]) {
      disk.fill(kibibytes * 1_024);
      h.start(node);
      await eventually(`it takes part or ends, with ${kibibytes} KiB left`, settlesMs, async () => {
        if (node.process === null) return true;
        const { role } = await memberFacts(p.operator, node);
        return role === "follower" || role === "leader" ? true : undefined;
      });
      if (node.process !== null) await p.burst(200);
      if (node.process === null) expect(node.exit).toEqual({ code: 70, signal: null });
      else await h.kill(node, "SIGKILL");
      expect(setAside()).toEqual([]);
    }
  });

  it("with space again has it back as itself with all that was acknowledged", async () => {
    disk.empty();
    h.start(node);
    await p.isWhole();
    expect((await memberFacts(p.operator, node)).member).toBe(member);
    const verdicts = [...h.logOf(node).matchAll(/ verdict node=\w+ verdict=([\w-]+)/g)].map((found) => found[1]);
    expect(verdicts.filter((verdict) => verdict !== "clean" && verdict !== "tornTail")).toEqual([]);
  });
});
