/** Backups of three real daemons: written by whoever leads, held by all, through kills and emptied disks. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type {
  BackupAnswer,
  BackupPlan,
  BackupsAnswer,
  BackupTaken,
  RestoreAnswer,
  RestorePlan,
  VerifyAnswer,
} from "@aether/core/api/backup-shapes";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestAnswer, TestClient } from "../testing/test-client.ts";

type List = typeof BackupsAnswer.Type;

describe("backups of a cluster", () => {
  let h: ClusterHarness;
  let operator: TestClient;

  const good = <A>({ status, body }: TestAnswer): A => {
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body as A;
  };
  const leader = (): Promise<TestNode> => leaderOf(h, operator, 20_000);
  const set = async (key: string, value: unknown): Promise<void> => {
    await eventually(`${key} is set`, 20_000, async () => {
      const done = await operator.any("PUT", `/v1/settings/${key}`, { value });
      return done.status === 200 ? true : undefined;
    });
  };
  const trigger = (node: TestNode) =>
    eventually(`${node.name} has a backup made`, 60_000, async () => {
      const answer = await operator.ask("POST", node.address, "/v1/backups", {});
      return answer.status === 503 ? undefined : good<typeof BackupTaken.Type>(answer);
    });
  const list = async (node: TestNode): Promise<List> => good(await operator.ask("GET", node.address, "/v1/backups"));
  const commits = async (node: TestNode): Promise<string[]> => (await list(node)).backups.map(({ commit }) => commit);
  /** Waits until all of these nodes list the same commits, the newest of which is this one. */
  const allHold = async (nodes: readonly TestNode[], head: string): Promise<string[]> => {
    const lists = await eventually(`all hold ${head}`, 40_000, async () => {
      const found = await Promise.all(nodes.map(commits));
      return found.every(([newest]) => newest === head) ? found : undefined;
    });
    for (const one of lists) expect(one).toEqual(lists[0]);
    return lists[0] ?? [];
  };

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3 });
    await h.form();
    operator = await h.client("operator");
  });
  afterAll(() => h.dispose());

  it("are made when asked at any node, show what they hold, and are sound", async () => {
    await set("app/a", { limit: 1 });
    for (const node of h.nodes) expect((await list(node)).backups).toEqual([]);
    const follower = h.nodes.find((node) => node.name !== "n1") as TestNode;
    const first = await trigger(follower);
    expect(first).toMatchObject({ new: true, note: "" });
    expect(first.holders.length).toBeGreaterThanOrEqual(2);
    expect(await trigger(follower)).toMatchObject({ new: false, commit: first.commit, changed: 0, bytes: 0 });
    await set("app/a", { limit: 2 });
    await set("app/b", true);
    const node = await leader();
    const second = await trigger(node);
    expect(second).toMatchObject({ new: true, changed: 2 });
    const [newest, ...others] = await allHold(h.nodes, second.commit);
    expect([newest, ...others]).toEqual([second.commit, first.commit]);
    const shown = good<typeof BackupAnswer.Type>(
      await operator.ask("GET", node.address, `/v1/backups/${second.commit.slice(0, 8)}`),
    );
    expect(shown).toMatchObject({ commit: second.commit, parent: first.commit, changesTotal: 2 });
    expect(shown.changes).toEqual([
      { noun: "setting", id: "app/a", kind: "changed" },
      { noun: "setting", id: "app/b", kind: "created" },
    ]);
    await set("app/c", 3);
    const diff = await operator.ask("GET", node.address, `/v1/backups/${first.commit}/diff?only=setting/app/*`);
    expect(good<typeof BackupPlan.Type>(diff)).toMatchObject({
      from: first.commit,
      to: "now",
      created: 2,
      changed: 1,
      removed: 0,
      things: [
        { id: "app/a", kind: "changed", fields: [{ field: "value.limit", from: 1, to: 2 }] },
        { id: "app/b", kind: "created" },
        { id: "app/c", kind: "created" },
      ],
    });
    const between = await operator.ask("GET", node.address, `/v1/backups/${second.commit}/diff?to=${first.commit}`);
    expect(good<typeof BackupPlan.Type>(between)).toMatchObject({ created: 0, changed: 1, removed: 1 });
    for (const each of h.nodes) {
      const verified = good<typeof VerifyAnswer.Type>(await operator.ask("POST", each.address, "/v1/backups/verify", {}));
      expect(verified).toMatchObject({ sound: true, commit: second.commit, faults: [], audit: { checked: true } });
    }
    const state = await list(node);
    expect(state).toMatchObject({ open: null, failed: null, last: { commit: second.commit }, head: second.commit });
    expect(state.backups.map(({ recorded, pushed }) => [recorded, pushed])).toEqual([
      [true, false],
      [true, false],
    ]);
  });

  it("bring back what was wanted then, in one entry, after a plan that still holds", async () => {
    const node = h.nodes[0] as TestNode;
    const post = (path: string, body: object) => operator.ask("POST", node.address, `/v1/backups/${path}`, body);
    await set("app/a", "before");
    const { commit, index } = await trigger(node);
    await set("app/a", "after");
    await set("app/new", 1);
    const asked = { commit: commit.slice(0, 12), only: ["setting/app/*"] };
    const plan = good<typeof RestorePlan.Type>(await post("plan", asked));
    expect(plan).toMatchObject({ created: 0, changed: 1, removed: 1, kept: [], source: { commit, index } });
    await set("app/new", 2);
    const stale = await post("restore", { ...asked, plan: plan.digest });
    expect(stale).toMatchObject({ status: 412, body: { reason: "stale" } });
    const again = good<typeof RestorePlan.Type>(await post("plan", asked));
    const done = good<typeof RestoreAnswer.Type>(await post("restore", { ...asked, plan: again.digest }));
    expect(done).toMatchObject({ things: 2, kept: [], source: { commit, index } });
    const settings = good<{ settings: { key: string; value: unknown }[] }>(await operator.any("GET", "/v1/settings"));
    const values = new Map(settings.settings.map(({ key, value }) => [key, value]));
    expect([values.get("app/a"), values.has("app/new")]).toEqual(["before", false]);
    const row = await operator.ask("GET", node.address, `/v1/restorations/${done.restore}`);
    expect(row).toMatchObject({ status: 200, body: { state: "applied", appliedAt: done.index } });
    expect(good(await post("restore", asked))).toMatchObject({ restore: "", things: 0 });
    const undone = good<typeof RestoreAnswer.Type>(await post("restore", { atIndex: done.before }));
    expect(undone).toMatchObject({ things: 2, source: { index: done.before } });
    const now = good<{ value: unknown }>(await operator.any("GET", "/v1/settings/app/new"));
    expect(now.value).toBe(2);
    const byTime = good<typeof RestorePlan.Type>(await post("plan", { atTime: Date.now(), only: ["setting/app/*"] }));
    expect(byTime).toMatchObject({ created: 0, changed: 0, removed: 0 });
    // the cluster writes entries of its own besides
    expect(byTime.source.index).toBeGreaterThanOrEqual(undone.index);
    expect(await post("plan", { atIndex: 1_000_000 })).toMatchObject({ status: 410, body: { reason: "compacted" } });
    expect(await post("plan", { atIndex: 5, commit })).toMatchObject({ status: 400 });
    expect(await post("plan", { only: ["planet/x"] })).toMatchObject({ status: 400 });
    expect(await post("plan", { commit: "fffffff" })).toMatchObject({ status: 404 });
    const viewer = await h.client("viewer");
    expect(await viewer.ask("POST", node.address, "/v1/backups/restore", asked)).toMatchObject({ status: 403 });
    expect(await viewer.ask("GET", node.address, "/v1/backups")).toMatchObject({ status: 200 });
    expect(await viewer.ask("GET", node.address, "/v1/backup/repository")).toMatchObject({ status: 403 });
  });

  it("go on in the same line after the leader is killed, at all three once it is back", async () => {
    await set("app/d", 1);
    const old = await leader();
    const { commit } = await trigger(old);
    const before = await allHold(h.nodes, commit);
    await set("app/d", 2);
    await operator.ask("POST", old.address, "/v1/commands", { type: "RequestBackup", id: h.name, cause: "before the kill" });
    await h.kill(old, "SIGKILL");
    const others = h.nodes.filter((node) => node !== old);
    const next = await leader();
    // what the killed leader was asked for is done by the next one
    const done = await eventually("the open request is done", 60_000, async () => {
      const { open, last } = await list(next);
      return open === null && last !== null && last.commit !== commit ? last : undefined;
    });
    const after = await allHold(others, done.commit);
    expect(after.slice(-before.length)).toEqual(before);
    expect(after).toHaveLength(before.length + 1);
    await set("app/d", 3);
    const last = await trigger(next);
    h.start(old);
    await eventually("it answers", 30_000, async () => {
      const ready = await operator.ask("GET", old.address, "/v1/health/ready");
      return ready.status === 200 ? true : undefined;
    });
    expect(await allHold(h.nodes, last.commit)).toHaveLength(before.length + 2);
  });

  it("come again to a member whose disk was emptied", async () => {
    const node = h.nodes.find(({ name }) => name === "n2") as TestNode;
    const head = (await commits(await leader()))[0] ?? "";
    await h.kill(node, "SIGKILL");
    rmSync(node.dataDir, { recursive: true });
    h.start(node);
    await eventually("it is back", 60_000, async () => {
      const ready = await operator.ask("GET", node.address, "/v1/health/ready");
      return ready.status === 200 ? true : undefined;
    });
    await allHold(h.nodes, head);
    // and one whose repository alone was lost, found when it is started again
    await h.kill(node, "SIGTERM");
    rmSync(join(node.dataDir, "backup.git"), { recursive: true });
    h.start(node);
    await allHold(h.nodes, head);
  });
});
