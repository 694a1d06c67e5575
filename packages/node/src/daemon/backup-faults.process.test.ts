/** Backups of real daemons by themselves, to a disk of their own and to a remote: what goes wrong with these harms no member. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BackupsAnswer } from "@aether/core/api/backup-shapes";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { registry } from "@aether/core/registry";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import { mountSmallDisk, whyNoSmallDisk, type SmallDisk } from "../testing/small-disk.ts";
import type { TestClient } from "../testing/test-client.ts";

type List = typeof BackupsAnswer.Type;
const noDisk = whyNoSmallDisk("tmpfs");

describe("backups that a cluster makes by itself", () => {
  const root = mkdtempSync(join(tmpdir(), "aether-backups-"));
  const path = join(root, "repositories");
  const remote = join(root, "remote.git");
  let disk: SmallDisk | null = null;
  let h: ClusterHarness;
  let operator: TestClient;

  const first = (): TestNode => h.nodes[0] as TestNode;
  const list = async (): Promise<List> => {
    const { status, body } = await operator.ask("GET", first().address, "/v1/backups");
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body as List;
  };
  const set = (key: string, value: unknown) =>
    eventually(`${key} is set`, 20_000, async () => {
      const done = await operator.any("PUT", `/v1/settings/${key}`, { value });
      return done.status === 200 ? true : undefined;
    });
  const until = (what: string, is: (l: List) => boolean): Promise<List> =>
    eventually(what, 60_000, async () => {
      const now = await list();
      return is(now) ? now : undefined;
    });
  /** No member has ended or takes no part any more, though a leader may just be elected. */
  const ready = async (): Promise<void> => {
    for (const node of h.nodes) {
      expect(node.process, node.name).not.toBeNull();
      await eventually(`${node.name} is ready`, 20_000, async () => {
        const answer = await operator.ask("GET", node.address, "/v1/health/ready");
        return answer.status === 200 ? true : undefined;
      });
    }
  };

  beforeAll(async () => {
    mkdirSync(path);
    if (noDisk === null) disk = mountSmallDisk(path, 4, "tmpfs");
    h = await makeClusterHarness({ size: 3, backup: { enabled: true, debounceMs: 200, path, remote } });
    await h.form();
    operator = await h.client("operator");
    await eventually("the cluster is ready", 20_000, async () => {
      const done = await operator.any("POST", "/v1/commands", { type: "MarkClusterReady", id: h.name });
      return done.status === 200 ? true : undefined;
    });
  });
  afterAll(async () => {
    await h.dispose();
    disk?.unmount();
    rmSync(root, { recursive: true, force: true });
  });

  it("follow each change, and are at the remote, which was not there before, soon after", async () => {
    execFileSync("git", ["init", "--bare", "--quiet", "--initial-branch=main", remote]);
    await set("app/a", 1);
    const backed = await until(
      "app/a is backed up and pushed",
      ({ last, pushed }) => last !== null && pushed?.commit === last.commit,
    );
    await set("app/a", 2);
    const now = await until(
      "app/a is backed up and pushed again",
      ({ last, pushed }) => last !== null && last.commit !== backed.last?.commit && pushed?.commit === last.commit,
    );
    expect(now.backups[0]).toMatchObject({ commit: now.last?.commit, pushed: true, recorded: true });
    expect(now.repository.path).toBe(join(path, "n1.git"));
    const there = await BackupReader.open(remote, registry);
    expect((await there.verify()).faults).toEqual([]);
    const head = execFileSync("git", ["-C", remote, "rev-parse", "main"], { encoding: "utf8" }).trim();
    expect(head).toBe(now.last?.commit);
    execFileSync("git", ["-C", remote, "fsck", "--strict"], { stdio: "pipe" });
  });

  it("are told of when somebody else has written to the remote, and not pushed over it unasked", async () => {
    const clone = join(root, "clone");
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", clone, "-c", "user.name=eve", "-c", "user.email=eve@example", ...args], { stdio: "pipe" });
    execFileSync("git", ["clone", "--quiet", remote, clone]);
    git("commit", "--quiet", "--allow-empty", "-m", "not ours");
    git("push", "--quiet", "origin", "main");
    await set("app/a", 3);
    const failed = await until("the push is refused", ({ pushFailed }) => pushFailed !== null);
    expect(failed.pushFailed?.hint).toContain("--force");
    expect((await operator.ask("POST", first().address, "/v1/backups/push", {})).status).toBe(409);
    const forced = await operator.ask("POST", first().address, "/v1/backups/push", { force: true });
    expect(forced).toMatchObject({ status: 200, body: { commit: failed.last?.commit, forced: true } });
    await until("the alert is gone", ({ pushFailed, pushed }) => pushFailed === null && pushed?.commit === failed.last?.commit);
  });

  it.skipIf(noDisk !== null)("fail when their disk is full, say so, and are made when it has room again", async () => {
    const { last } = await list();
    disk?.fill();
    await set("app/big", "x".repeat(60_000));
    const failed = await until("a backup has failed", (now) => now.failed !== null);
    expect(failed.failed?.why).toMatch(/ENOSPC|no space/i);
    expect(failed.failed?.hint).toContain("[backup] path");
    const asked = await operator.ask("POST", first().address, "/v1/backups", {});
    const hint = expect.stringContaining("[backup] path") as string;
    expect(asked).toMatchObject({ status: 503, body: { reason: "not_ready", hint } });
    await ready();
    await set("app/after", 1);
    disk?.empty();
    const back = await until("backups go on", (now) => now.failed === null && now.last?.commit !== last?.commit);
    expect(back.last?.upTo).toBeGreaterThan(failed.failed?.index ?? 0);
    const answer = await operator.ask("POST", first().address, "/v1/backups/verify", {});
    expect(answer).toMatchObject({ status: 200, body: { sound: true } });
    await ready();
  });
});
