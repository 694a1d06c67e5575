/** Disks that are lost, altered or put back: each ends in a named verdict, and the node comes back under a new number. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leaderOf, memberFacts, sameDigests } from "../testing/cluster-facts.ts";
import { eventually, makeClusterHarness, type ClusterHarness, type TestNode } from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";

interface NodeAnswer {
  readonly name: string;
  readonly member: number;
  readonly duty: string;
  readonly left: boolean;
  readonly retired: readonly { readonly member: number; readonly why: string }[];
}

describe("a member whose disk cannot answer for its number", () => {
  let h: ClusterHarness;
  let operator: TestClient;

  const row = async (name: string): Promise<NodeAnswer> => (await operator.any("GET", `/v1/nodes/${name}`)).body as NodeAnswer;
  const write = async (key: string, value: unknown): Promise<void> => {
    await eventually(`${key} is written`, 10_000, async () => {
      const done = await operator.any("PUT", `/v1/settings/${encodeURIComponent(key)}`, { value });
      // A node that has just been started says 503 until others have vouched for it.
      if (done.status !== 200 && done.status !== 503) throw new Error(JSON.stringify(done.body));
      return done.status === 200 ? true : undefined;
    });
  };
  /** Waits until the node is a voter again under a number other than `old`, the old one gone, and its world is everybody's. */
  const isBack = async (node: TestNode, old: number): Promise<NodeAnswer> => {
    const back = await eventually(`${node.name} is on duty under a new number`, 30_000, async () => {
      const now = await row(node.name);
      const { voters, learners } = await memberFacts(operator, await leaderOf(h, operator, 5_000));
      const settled = now.duty === "on-duty" && now.member > old && voters.includes(now.member) && voters.length === 3;
      return settled && learners.length === 0 ? now : undefined;
    });
    expect(back.retired.at(-1)?.member).toBe(old);
    expect((await memberFacts(operator, node)).member).toBe(back.member);
    const [first = "", ...others] = await eventually("it has caught up", 20_000, () => sameDigests(operator, h.nodes, 1_000));
    expect(others).toEqual([first, first]);
    return back;
  };
  const follower = async (): Promise<TestNode> => {
    const leader = await leaderOf(h, operator, 10_000);
    return h.nodes.find((node) => node !== leader) as TestNode;
  };

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 3 });
    await h.form();
    operator = await h.client("operator");
    for (let n = 0; n < 20; n++) await write(`before/${n}`, n);
  });
  afterAll(() => h.dispose());

  it("wiped: it is taken in under a new number, and cannot be bootstrapped under the old one", async () => {
    const node = await follower();
    const old = (await row(node.name)).member;
    await h.kill(node, "SIGKILL");
    rmSync(node.dataDir, { recursive: true });
    mkdirSync(node.dataDir);
    h.start(node);
    const members = h.nodes.map(({ name, member, address }) => ({ name, member, address }));
    const request = { cluster: { id: h.clusterId, name: h.name }, members };
    const made = await eventually("it answers", 10_000, async () => {
      const answer = await operator.ask("POST", node.address, "/v1/bootstrap", request);
      return answer.status === 503 ? undefined : answer;
    });
    // It may have been taken in meanwhile; formatted as a first voter it must never be.
    const { created = false, reason = "" } = made.body as { created?: boolean; reason?: string };
    expect(`${made.status} ${created} ${reason}`).toMatch(/^(200 false |409 false conflict)$/);
    const back = await isBack(node, old);
    expect(back.retired.at(-1)?.why).toBe("wiped");
  });

  it("a byte of its log flipped: the verdict is lost, the data is kept aside, and it rejoins", async () => {
    const node = await follower();
    const old = (await row(node.name)).member;
    await h.kill(node, "SIGKILL");
    const log = join(node.dataDir, "log");
    const file = readdirSync(log).find((name) => name.endsWith(".log")) as string;
    const bytes = readFileSync(join(log, file));
    const at = bytes.length >> 1;
    bytes[at] = (bytes[at] as number) ^ 0x40;
    writeFileSync(join(log, file), bytes);
    h.start(node);
    const back = await isBack(node, old);
    expect(back.retired.at(-1)?.why).toMatch(/^lost-/);
    expect(h.logOf(node)).toMatch(/error verdict .*verdict=lost-.*detail=".+" next=".*rejoins under a new member number"/);
    expect(readdirSync(node.dataDir).some((name) => name.startsWith(`retired-${old}-lost-`))).toBe(true);
  });

  it("the whole disk put back from an older copy: others know that it held more, so it may not vote, and rejoins", async () => {
    const node = await follower();
    const old = (await row(node.name)).member;
    await h.kill(node, "SIGTERM");
    const copy = `${node.dataDir}-copy`;
    cpSync(node.dataDir, copy, { recursive: true });
    h.start(node);
    await eventually("it is back", 10_000, () => sameDigests(operator, h.nodes, 1_000));
    for (let n = 0; n < 20; n++) await write(`after-copy/${n}`, n);
    await sameDigests(operator, h.nodes, 10_000);
    await h.kill(node, "SIGKILL");
    rmSync(node.dataDir, { recursive: true });
    cpSync(copy, node.dataDir, { recursive: true });
    rmSync(copy, { recursive: true });
    h.start(node);
    const back = await isBack(node, old);
    expect(back.retired.at(-1)?.why).toBe("lost-belowFloor");
    expect(h.logOf(node)).toMatch(/knows better: its log ends at \d+, but it acknowledged entries up to \d+/);
  });

  it("the older copy is also found when the leader that counted its acknowledgements is gone", async () => {
    const leader = await leaderOf(h, operator, 10_000);
    const node = h.nodes.find((n) => n !== leader) as TestNode;
    const old = (await row(node.name)).member;
    await h.kill(node, "SIGTERM");
    const copy = `${node.dataDir}-copy`;
    cpSync(node.dataDir, copy, { recursive: true });
    h.start(node);
    await eventually("it is back", 10_000, () => sameDigests(operator, h.nodes, 1_000));
    for (let n = 0; n < 20; n++) await write(`after-second-copy/${n}`, n);
    // Longer than a round of notes: what the leader knows has reached the third member.
    await new Promise((resume) => setTimeout(resume, 2_500));
    await h.kill(node, "SIGKILL");
    await h.kill(await leaderOf(h, operator, 10_000).catch(() => leader), "SIGKILL");
    rmSync(node.dataDir, { recursive: true });
    cpSync(copy, node.dataDir, { recursive: true });
    rmSync(copy, { recursive: true });
    h.start(node);
    await eventually("the older copy is found out", 15_000, () => (h.logOf(node).includes("lost-belowFloor") ? true : undefined));
    for (const stopped of h.nodes.filter((n) => n.process === null)) h.start(stopped);
    const back = await isBack(node, old);
    expect(back.retired.at(-1)?.why).toBe("lost-belowFloor");
  });
});
