/** What a person sees who starts a daemon in the wrong way, and what the daemon does when it is told to stop. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openStreamClient, type StreamAnswer } from "../client/stream-client.ts";
import { checkpointStatement } from "../controllers/checkpoint.ts";
import { verify } from "../identity/signing.ts";
import {
  builtDaemon,
  eventually,
  freePort,
  makeClusterHarness,
  type ClusterHarness,
  type TestNode,
} from "../testing/cluster-harness.ts";
import type { TestClient } from "../testing/test-client.ts";

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => {
  const done = spawnSync(process.execPath, [builtDaemon, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    timeout: 20_000,
  });
  return { code: done.status, out: done.stdout, err: done.stderr };
};
type Row = Record<string, unknown>;

describe("aetherd", () => {
  let h: ClusterHarness;
  let operator: TestClient;
  let node: TestNode;
  const configuration = (): Row => JSON.parse(readFileSync(node.configFile, "utf8")) as Row;
  const variant = (name: string, change: Row): string => {
    const file = join(h.folder, `${name}.json`);
    writeFileSync(file, JSON.stringify({ ...configuration(), ...change }));
    return file;
  };

  beforeAll(async () => {
    h = await makeClusterHarness({ size: 1 });
    await h.form();
    operator = await h.client("operator");
    node = h.node("n1");
  });
  afterAll(() => h.dispose());

  it("says what it is and how to start it", () => {
    expect(run(["--version"])).toMatchObject({ code: 0, out: expect.stringMatching(/^aetherd \d+\.\d+\.\d+\n$/) as string });
    const help = run(["--help"]);
    expect(help.code).toBe(0);
    for (const word of ["--config FILE", "AETHER_NODE_CONFIG", "SIGTERM", "Exit codes"]) expect(help.out).toContain(word);
  });

  it("names every wrong key of its configuration with what was expected, and no secret", () => {
    const { tls } = configuration();
    const bad = variant("bad", { listen: { host: "127.0.0.1", port: "x" }, speed: 3, tls: { ...(tls as Row), key: "SECRET" } });
    const done = run(["--config", bad]);
    expect(done.code).toBe(2);
    expect(done.err).toMatch(/error: .*listen\.port/);
    expect(done.err).toMatch(/error: .*speed/);
    expect(done.err).toMatch(/error: .*tls\.key/);
    expect(done.err).not.toContain("SECRET");
    expect(run([], { AETHER_NODE_CONFIG: "" })).toMatchObject({
      code: 2,
      err: expect.stringContaining("--config FILE") as string,
    });
    expect(run(["--config", join(h.folder, "nowhere.json")]).code).toBe(2);
    const gone = variant("gone", { tls: { ...(tls as Row), key: "file:/nowhere/key.pem" } });
    expect(run(["--config", gone])).toMatchObject({ code: 2, err: expect.stringContaining("tls.key") as string });
  });

  it("does not share its port or its folder with another process", async () => {
    const samePort = run(["--config", variant("port", { dataDir: join(h.folder, "elsewhere") })]);
    expect(samePort.code).toBe(73);
    expect(samePort.out).toContain("cannot listen on 127.0.0.1");
    const port = await freePort();
    const sameFolder = run([
      "--config",
      variant("folder", { listen: { host: "127.0.0.1", port }, advertise: `127.0.0.1:${port}` }),
    ]);
    expect(sameFolder.code).toBe(73);
    expect((await operator.ask("GET", node.address, "/v1/health/ready")).status).toBe(200);
  });

  it("waits without a folder: says so, and takes no bootstrap of another cluster, of a viewer, or without itself", async () => {
    const late = await h.addNode();
    h.start(late);
    const live = await eventually("it answers", 10_000, () => operator.ask("GET", late.address, "/v1/health/live"));
    expect(live.status).toBe(200);
    const rows = await operator.ask("GET", late.address, "/v1/nodes");
    expect(rows).toMatchObject({ status: 503, body: { reason: "not_ready" } });
    expect((await operator.ask("GET", late.address, "/v1/health/ready")).status).toBe(503);
    await eventually("it has looked into its folder and waits", 10_000, async () => {
      const { body } = await operator.ask("GET", late.address, "/v1/member");
      expect(body).toMatchObject({ member: 0 });
      return (body as { role: string }).role === "waiting" ? true : undefined;
    });

    const self = { name: late.name, member: late.member, address: late.address };
    const bootstrap = async (as: TestClient, id: string, members: readonly Row[]) =>
      (await as.ask("POST", late.address, "/v1/bootstrap", { cluster: { id, name: h.name }, members })).status;
    expect(await bootstrap(operator, "f".repeat(32), [self])).toBe(409);
    expect(await bootstrap(operator, h.clusterId, [{ ...self, name: "n9" }])).toBe(409);
    expect(await bootstrap(await h.client("viewer"), h.clusterId, [self])).toBe(403);
    // n1 is known to run in an initialised cluster: nobody may start a second one beside it.
    const beside = [self, { name: "n1", member: 1, address: node.address }];
    expect(await bootstrap(operator, h.clusterId, beside)).toBe(409);
    await h.kill(late, "SIGTERM");
    expect(late.exit).toEqual({ code: 0, signal: null });
  });

  it("takes thousands of commands over one stream, and signs what it has done", async () => {
    const stream = openStreamClient({ endpoints: [node.address], tls: operator.tls });
    const answers = await Promise.all(
      Array.from(
        { length: 2_500 },
        (_, n) =>
          new Promise<StreamAnswer>((done) => stream.submit({ type: "SetSetting", id: `s/${n % 50}`, value: n }, `r${n}`, done)),
      ),
    );
    stream.close();
    expect(answers.filter((a) => !a.ok)).toEqual([]);
    expect(new Set(answers.map((a) => (a.ok ? a.index : 0))).size).toBe(2_500);
    const lines = await operator.lines(node.address, "/v1/events?follow&from=1&for=cluster/test", (found) =>
      found.some((line) => line["cause"] === "RecordCheckpoint"),
    );
    const recorded = lines.flatMap((line) => line["events"] as Row[]).find((event) => event["type"] === "CheckpointRecorded") as {
      readonly [key: string]: unknown;
      readonly upTo: number;
      readonly chain: string;
      readonly state: string;
      readonly signer: string;
    };
    const { certificate, signature } = recorded as unknown as { certificate: string; signature: string };
    const statement = checkpointStatement({ clusterId: h.clusterId, ...recorded });
    expect(verify(certificate, h.ca.certificate, statement, signature)).toMatchObject({
      ok: true,
      signer: { name: "n1", role: "member" },
    });
    const forged = checkpointStatement({ clusterId: h.clusterId, ...recorded, upTo: recorded.upTo + 1 });
    expect(verify(certificate, h.ca.certificate, forged, signature).ok).toBe(false);
    const range = (await operator.ask("GET", node.address, `/v1/audit?from=${recorded.upTo}&limit=1`)).body as Row;
    expect(range["after"]).toBe(recorded.chain);
  });

  it("ends with 0 on SIGINT, and is at once what it was when it is started again", async () => {
    const before = (await operator.ask("GET", node.address, "/v1/member")).body as { digest: Row; applied: number };
    await h.kill(node, "SIGINT");
    expect(node.exit).toEqual({ code: 0, signal: null });
    expect(h.logOf(node).trimEnd().split("\n").at(-1)).toMatch(/ info ended node=n1 code=0 why=SIGINT$/);
    h.start(node);
    const after = await eventually("it is back", 10_000, async () => {
      const ready = await operator.ask("GET", node.address, "/v1/health/ready");
      return ready.status === 200 ? ((await operator.ask("GET", node.address, "/v1/settings/s%2F49")).body as Row) : undefined;
    });
    expect(after["value"]).toBe(2_499);
    expect(((await operator.ask("GET", node.address, "/v1/member")).body as { applied: number }).applied).toBeGreaterThan(
      before.applied,
    );
  });
});
