/** Many backups, and leaders that are killed in the middle of them: the line that was recorded goes on, and git finds nothing wrong with it. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { BackupsAnswer, BackupTaken } from "@aether/core/api/backup-shapes";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";

type List = typeof BackupsAnswer.Type;
const keep = 20;
const kills = 3;
/** Enough to make one pack of them. */
const many = 52;

describe("a line of backups", () => {
  let h: ClusterHarness;
  let operator: TestClient;
  const recorded: string[] = [];

  const list = async (node: TestNode): Promise<List> => {
    const { status, body } = await operator.ask("GET", node.address, "/v1/backups");
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
    return body as List;
  };
  const set = (value: number) =>
    eventually("a setting is set", 30_000, async () => {
      const done = await operator.any("PUT", "/v1/settings/app/x", { value });
      return done.status === 200 ? true : undefined;
    });
  const trigger = () =>
    eventually("a backup is made", 60_000, async () => {
      const { status, body } = await operator.any("POST", "/v1/backups", {});
      return status === 200 ? (body as typeof BackupTaken.Type) : undefined;
    });
  const git = (node: TestNode, ...args: string[]): string =>
    execFileSync("git", ["-C", join(node.dataDir, "backup.git"), ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  /** Packs go a moment after the branch has moved, and git may be in the middle of one. */
  const isSound = (node: TestNode) =>
    eventually(`git finds ${node.name} sound`, 20_000, () => git(node, "fsck", "--strict", "--full") !== null);
  const packsOf = (node: TestNode): number => Number(/^packs: (\d+)$/m.exec(git(node, "count-objects", "-v"))?.[1]);
  const allHold = (head: string) =>
    eventually(`all hold ${head}`, 60_000, async () => {
      const heads = await Promise.all(h.nodes.map(async (node) => (await list(node)).head));
      return heads.every((each) => each === head) ? true : undefined;
    });

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3, backup: { keep } });
    await h.form();
    operator = await h.client("operator");
  });
  afterAll(() => h.dispose());

  it("loses nothing that was recorded, though leaders are killed while they write", async () => {
    for (let round = 0; round < kills; round++) {
      await set(round);
      recorded.push((await trigger()).commit);
      await set(round + 0.5);
      const leader = await leaderOf(h, operator, 30_000);
      await operator.ask("POST", leader.address, "/v1/commands", { type: "RequestBackup", id: h.name, cause: "before a kill" });
      await new Promise((resume) => setTimeout(resume, Math.random() * 400));
      await h.kill(leader, "SIGKILL");
      h.start(leader);
    }
    await set(-1);
    const { commit } = await trigger();
    await allHold(commit);
    for (const node of h.nodes) {
      await isSound(node);
      const line = git(node, "log", "--format=%H", "main").trim().split("\n");
      expect(recorded.filter((each) => !line.includes(each))).toEqual([]);
    }
  });

  it("stays short and small, at every member", async () => {
    for (let n = 0; n < many; n++) {
      await set(100 + n);
      await trigger();
    }
    // packing goes on beside: what comes of it is mirrored with a later backup
    await eventually("packs are made one, at every member", 60_000, async () => {
      await set(Math.random());
      await allHold((await trigger()).commit);
      return h.nodes.every((node) => packsOf(node) < many) ? true : undefined;
    });
    for (const node of h.nodes) {
      await isSound(node);
      const line = git(node, "log", "--format=%H", "main").trim().split("\n");
      expect(line.length).toBeLessThanOrEqual(keep + 2);
    }
  });
});
