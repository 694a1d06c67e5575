/**
 * A real daemon is killed at every failpoint, one after the other, in one cluster that goes on meanwhile. Each restart is
 * armed with the next place, so that a member that did not come back as it should never reaches it.
 */
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Failpoint, failpointPlaces } from "@aether/core/kernel/failpoint";
import { openStreamClient, type StreamClient } from "../client/stream-client.ts";
import { leaderOf, memberFacts, sameDigests } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";
import { startWriteLoad, type WriteLoad } from "../testing/write-load.ts";

/** The bundle: it starts in a third of the time, and is what ships. */
const strikesMs = 90_000;
const settlesMs = 90_000;

// A dozen starts a test: on a crowded machine each may take many seconds.
vi.setConfig({ testTimeout: 400_000, hookTimeout: 200_000 });

/** Places that this file has killed a daemon at. */
const killedAt = new Set<Failpoint>();

/** Starts the node so that it dies at its `nth` passage of the place, and waits until it has. */
async function dieAt(h: ClusterHarness, node: TestNode, place: Failpoint, nth = 1, during?: () => Promise<void>): Promise<void> {
  const rule = `${place}=kill#${nth}`;
  h.start(node, { AETHER_FAILPOINTS: rule });
  await during?.();
  const exit = await h.ended(node, strikesMs).catch((error: Error) => {
    throw new Error(`${rule} on ${node.name}: ${error.message}\n${h.logOf(node).split("\n").slice(-12).join("\n")}`);
  });
  expect(`${rule}: ${JSON.stringify(exit)}`).toBe(`${rule}: {"code":null,"signal":"SIGKILL"}`);
  await eventually("the log tells why", 5_000, () =>
    h.logOf(node).includes(`place=${place} rule="${rule}"`) ? true : undefined,
  );
  killedAt.add(place);
}

describe("a daemon killed at a failpoint", () => {
  let h: ClusterHarness;
  let operator: TestClient;
  let stream: StreamClient;
  let load: WriteLoad;

  const follower = async (): Promise<TestNode> => {
    const leader = await leaderOf(h, operator, settlesMs);
    return h.nodes.find((node) => node !== leader && node.process !== null) as TestNode;
  };
  /** So many acknowledged writes, as quickly as they go. */
  const burst = async (count: number): Promise<void> => {
    for (let done = 0; done < count;) {
      const round = Math.min(500, count - done);
      const answers = await Promise.all(
        Array.from({ length: round }, (_, n) => {
          const value = `${done + n}-${performance.now()}`;
          return new Promise<boolean>((settle) => {
            stream.submit({ type: "SetSetting", id: `burst/${n}`, value }, `burst-${value}`, (answer) => settle(answer.ok));
          });
        }),
      );
      done += answers.filter(Boolean).length;
    }
  };
  /** Killed without being asked, started again without failpoints: it is what it was, and the cluster is of one mind. */
  const comesBack = async (node: TestNode): Promise<void> => {
    h.start(node);
    const [first = "", ...others] = await sameDigestsAtRest();
    expect(others).toEqual([first, first]);
  };
  /** Pauses the load: a world at rest can be compared. */
  const sameDigestsAtRest = async (): Promise<readonly string[]> => {
    await load.stop();
    const digests = await sameDigests(operator, h.nodes, settlesMs);
    await nothingIsLost();
    load = startWriteLoad(operator, `load${performance.now().toFixed(0)}`, 2);
    return digests;
  };
  const nothingIsLost = async (): Promise<void> => {
    for (const [key, value] of load.acknowledged) {
      const read = await eventually(`${key} is read`, settlesMs, async () => {
        const answer = await operator.any("GET", `/v1/settings/${encodeURIComponent(key)}`);
        return answer.status === 200 ? (answer.body as { value: number }) : undefined;
      });
      // One more may have taken effect: the load was stopped while its last write was on its way.
      expect(read.value, key).toBeGreaterThanOrEqual(value);
    }
  };
  /** Kills a leader whose log holds entries that nobody else has, and starts the others, which elect another. */
  const leaderWithUncommitted = async (): Promise<TestNode> => {
    for (let attempt = 1; attempt <= 5; attempt++) {
      const old = await leaderOf(h, operator, settlesMs);
      const others = h.nodes.filter((node) => node !== old);
      const lastOf = async (): Promise<number> =>
        ((await operator.ask("GET", old.address, "/v1/member")).body as { last: number }).last;
      await Promise.all(others.map((node) => h.kill(node, "SIGKILL")));
      const before = await lastOf();
      // Alone it appends and commits nothing, until it notices that nobody answers and leads no more.
      const uncommitted = operator.ask("PUT", old.address, "/v1/settings/nobody", { value: "saw this" }).catch(() => null);
      await eventually("it leads no more", settlesMs, async () =>
        (await memberFacts(operator, old)).role === "leader" ? undefined : true,
      );
      const grew = (await lastOf()) > before;
      await h.kill(old, "SIGKILL");
      await uncommitted;
      for (const node of others) h.start(node);
      await leaderOf(h, operator, settlesMs);
      if (grew) return old;
      // On a crowded machine it may have stepped down before the write came.
      h.start(old);
    }
    throw new Error("no leader ever appended anything alone");
  };
  const verdicts = (node: TestNode): readonly string[] =>
    [...h.logOf(node).matchAll(/ verdict node=\w+ verdict=([\w-]+)/g)].map((found) => found[1] ?? "");

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3, historyKeep: 100 });
    await h.form();
    operator = await h.client("operator");
    stream = openStreamClient({ endpoints: h.nodes.map((n) => n.address), tls: operator.tls, deadlineMs: settlesMs });
    load = startWriteLoad(operator, "load", 2);
  });
  afterAll(async () => {
    await load.stop();
    stream.close();
    await h.dispose();
  });

  it("comes back as itself from every step of appending, applying and flushing", async () => {
    const steps = [
      ["beforeAppendSync", 3],
      ["afterAppendSync", 3],
      ["beforeThenSend", 3],
      ["beforeGuardSync", 3],
      ["afterGuardSync", 3],
      ["beforeApply", 5],
      ["afterApply", 5],
      ["beforeFlush", 2],
      ["afterFlush", 2],
      ["beforeFloors", 1],
      ["afterFloors", 1],
    ] as const;
    const leader = await leaderOf(h, operator, settlesMs);
    await h.kill(leader, "SIGKILL");
    for (const [place, nth] of steps) await dieAt(h, leader, place, nth);
    await comesBack(leader);
    expect(verdicts(leader).filter((verdict) => verdict !== "clean" && verdict !== "tornTail")).toEqual([]);
    // One verdict when it was formatted, and one at each start since.
    expect(verdicts(leader)).toHaveLength(steps.length + 2);
  });

  it("comes back as itself from every step of making a snapshot and cutting the log behind it", async () => {
    const node = await follower();
    await h.kill(node, "SIGKILL");
    // One that was not finished is due at once; the next one after a thousand entries more.
    const steps = [
      ["beforeSnapSync", 1_200],
      ["beforeSnapRename", 10],
      ["afterSnapRename", 10],
      ["beforeCompact", 1_200],
      ["afterCompact", 1_200],
      ["beforeTrim", 1_200],
    ] as const;
    for (const [place, writes] of steps) await dieAt(h, node, place, 1, () => burst(writes));
    await comesBack(node);
    expect(verdicts(node).at(-1)).toBe("clean");
  });

  it("keeps its word when it dies around the guard write of a new term", async () => {
    const node = await follower();
    for (const place of ["beforeVoteGuard", "afterVoteGuard"] as const) {
      const leader = await leaderOf(h, operator, settlesMs);
      await h.kill(node, "SIGKILL");
      // Without a leader there is no quorum but with this node: it votes, and that is a promise.
      await dieAt(h, node, place, 1, () => h.kill(leader, "SIGKILL"));
      h.start(leader);
      h.start(node);
      await eventually("it leads or follows", settlesMs, async () => {
        const { role } = await memberFacts(operator, node);
        return role === "leader" || role === "follower" ? true : undefined;
      });
    }
    await h.kill(node, "SIGKILL");
    await comesBack(node);
    expect(verdicts(node).at(-1)).toBe("clean");
  });

  it("drops what was never committed, also when it dies while dropping it", async () => {
    const old = await leaderWithUncommitted();
    await dieAt(h, old, "beforeTruncate");
    await dieAt(h, old, "afterTruncate");
    await comesBack(old);
    expect(verdicts(old).at(-1)).toBe("clean");
    expect((await operator.any("GET", "/v1/settings/nobody")).status).toBe(404);
  });

  it("comes back as itself from every step of taking in a snapshot", async () => {
    const node = await follower();
    const { applied } = await memberFacts(operator, node);
    await h.kill(node, "SIGKILL");
    await burst(2_500);
    const leader = await leaderOf(h, operator, settlesMs);
    await eventually("the leader's log begins behind it", settlesMs, async () => {
      const { first } = (await operator.ask("GET", leader.address, "/v1/member")).body as { first: number };
      return first > applied + 1 ? true : undefined;
    });
    const places = ["beforeReceivedSync", "beforeReceivedRename", "afterReceivedRename"] as const;
    for (const place of [...places, "beforeRestoreSwitch", "afterRestoreSwitch"] as const) await dieAt(h, node, place);
    await comesBack(node);
    expect(verdicts(node).at(-1)).toBe("clean");
  });

  it("without a disk, is taken in under a new number at last, wherever it dies on the way", async () => {
    const node = await follower();
    const { member } = await memberFacts(operator, node);
    await h.kill(node, "SIGKILL");
    rmSync(node.dataDir, { recursive: true });
    mkdirSync(node.dataDir);
    for (const place of ["afterMint", "beforeSeats", "afterSeats", "beforeFormat", "beforeIdentity"] as const)
      await dieAt(h, node, place);
    // A log without the identity that belongs to it: nobody can say whose it is, so it goes.
    for (const place of ["beforeRetire", "duringRetire", "afterRetire", "afterIdentity"] as const) await dieAt(h, node, place);
    await comesBack(node);
    const facts = await memberFacts(operator, node);
    expect(facts.member).toBeGreaterThan(member);
    const { voters, learners } = await eventually("it is a voter", settlesMs, async () => {
      const now = await memberFacts(operator, await leaderOf(h, operator, settlesMs));
      return now.learners.length === 0 && now.voters.includes(facts.member) ? now : undefined;
    });
    expect([voters.length, learners.length]).toEqual([3, 0]);
  });

  it("has died at every place there is", () => {
    expect(Object.keys(failpointPlaces).filter((place) => !killedAt.has(place as Failpoint))).toEqual([]);
  });
});

describe("a first member killed while it is bootstrapped", () => {
  it("is bootstrapped by the same request again, or says what lies in its folder; never a member of two beginnings", async () => {
    const h = await makeClusterHarness({ size: 1 });
    try {
      const operator = await h.client("operator");
      const [node] = h.nodes as readonly [TestNode];
      const members = [{ name: node.name, member: node.member, address: node.address }];
      const bootstrap = async (): Promise<unknown> => {
        await eventually("it answers", settlesMs, async () =>
          (await operator.ask("GET", node.address, "/v1/health/live")).status === 200 ? true : undefined,
        );
        const request = { cluster: { id: h.clusterId, name: h.name }, members };
        return (await operator.ask("POST", node.address, "/v1/bootstrap", request).catch(() => ({ body: null }))).body;
      };
      const dies = (place: Failpoint): Promise<void> => dieAt(h, node, place, 1, async () => void (await bootstrap()));
      await dies("beforeSeats");
      await dies("afterSeats");
      await dies("afterIdentity");
      h.start(node);
      expect(await bootstrap()).toMatchObject({ member: 1, created: false });
      await h.kill(node, "SIGKILL");
      rmSync(node.dataDir, { recursive: true });
      // A log that nothing says whose it is might be one that has promised something.
      await dies("beforeIdentity");
      h.start(node);
      expect(await bootstrap()).toMatchObject({
        reason: "conflict",
        hint: expect.stringContaining("delete its data folder") as string,
      });
      await h.kill(node, "SIGKILL");
      rmSync(node.dataDir, { recursive: true });
      h.start(node);
      expect(await bootstrap()).toMatchObject({ member: 1, created: true });
    } finally {
      await h.dispose();
    }
  });
});

describe("AETHER_FAILPOINTS", () => {
  it("is refused before anything is touched when it makes no sense, and announced when it does", async () => {
    const h = await makeClusterHarness({ size: 1 });
    try {
      const [node] = h.nodes as readonly [TestNode];
      h.start(node, { AETHER_FAILPOINTS: "beforeFlsh=kill" });
      expect(await h.ended(node, settlesMs)).toEqual({ code: 2, signal: null });
      expect(h.logOf(node)).toBe(
        'error: AETHER_FAILPOINTS: "beforeFlsh=kill": expected a known place; did you mean beforeFlush?\n',
      );
      expect(existsSync(node.dataDir)).toBe(false);
      h.start(node, { AETHER_FAILPOINTS: "beforeSeats=sleep:50", AETHER_FAILPOINTS_SEED: "9" });
      await eventually("it says so", settlesMs, () =>
        / warn failpoints .*armed="beforeSeats=sleep:50" seed=9 /.test(h.logOf(node)) ? true : undefined,
      );
    } finally {
      await h.dispose();
    }
  });
});
