import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseNodeFile, type NodeFile } from "@aether/core/config/node-file";
import { fleetOf } from "@aether/core/fleet/state";
import type { Command } from "@aether/core/kernel/command";
import { clusterId, firstMembers, memberOf, RulesBench } from "@aether/core/testing/rules-bench";
import type { Answer, EventStore } from "@aether/store/types";
import { afterAll, describe, expect, it } from "vitest";
import { makeLog } from "../daemon/log.ts";
import { makeCloudHand } from "./cloud-hand.ts";
import { startFleet, type FleetParts } from "./service.ts";

const folder = mkdtempSync(join(tmpdir(), "aether-fleet-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const settings = { cloud: { provider: "hetzner", region: "fsn1", instance_type: "cx22" } };
const secret = "a-secret-of-32-bytes-and-of-nobody";

/** The file of a member whose enrolment wrote these; null: it was not enrolled. */
function configurationOf(files: NodeFile["fleet"]): NodeFile {
  const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  const parsed = parseNodeFile(
    JSON.stringify({
      cluster: { id: clusterId, name: "home" },
      node: { name: "n1", member: 1 },
      listen: { host: "127.0.0.1", port: 7400 },
      advertise: "127.0.0.1:7400",
      dataDir: folder,
      seeds: [],
      tls: { ca: pem, certificate: pem, key: pem },
      fleet: files,
    }),
  );
  if ("errors" in parsed) throw new Error(parsed.errors.join("; "));
  return parsed.ok;
}

function file(name: string, text: string): string {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return `file:${join(folder, name)}`;
}

/** A member that leads a cluster at this provider. */
function leader(provider: string, files: NodeFile["fleet"]) {
  const bench = new RulesBench();
  const members = firstMembers(1);
  bench.try({ type: "InitialiseCluster", id: "home", clusterId, size: 1, provider, configuration: settings, members });
  bench.try({ type: "AdmitNode", id: "n1", member: 1 }, memberOf("n1"));
  bench.try({ type: "MarkClusterReady", id: "home" });
  const said: Command[] = [];
  const submit = (command: Command): Answer => {
    said.push(command);
    const done = bench.try(command, memberOf("n1"));
    if ("rejected" in done) return { ok: false, rejection: done, leader: 1 };
    return { ok: true, index: bench.world.index, version: 1, changed: done.events.length > 0, replayed: false };
  };
  const store = {
    world: bench.world,
    role: { state: "leader", term: 1, leader: 1 },
    submit: ({ command }: { readonly command: Command }, done: (answer: Answer) => void) => done(submit(command)),
  } as unknown as EventStore;
  const lines: string[] = [];
  const log = makeLog(
    (line) => lines.push(line),
    () => new Date(0),
  );
  const gateway = { barrier: () => Promise.resolve(1) };
  const parts: FleetParts = { configuration: configurationOf(files), remoteToken: null, store, gateway, dialAt: (a) => a, log };
  const hand = () =>
    makeCloudHand({
      ...parts,
      settings,
      submit: (command) => Promise.resolve(submit(command)),
      caughtUp: () => Promise.resolve(true),
    });
  return { bench, said, lines, parts, hand };
}

describe("a member that leads in a cloud", () => {
  it("and was never enrolled says so once, in the log and to operators, and goes on", async () => {
    const { bench, said, parts, lines } = leader("hetzner", null);
    const stop = startFleet(parts);
    await expect.poll(() => fleetOf(bench.world).troubles.length, { timeout: 20_000 }).toBe(1);
    await stop();
    expect(fleetOf(bench.world).troubles).toMatchObject([{ area: "credentials", tag: "Credentials", code: "n1" }]);
    expect(said).toHaveLength(1);
    expect(lines.filter((line) => line.includes("fleet-credentials"))).toHaveLength(1);
  });

  it("tells why it cannot, and no secret with it", async () => {
    const clusterSecret = file("secret", `${secret}\n`);
    const broken = file("broken.json", '{"HCLOUD_TOKEN": "hetzner-token-of-nobody');
    for (const [files, why] of [
      [{ clusterSecret: `file:${join(folder, "missing")}`, providerEnv: null }, /cannot be read: ENOENT/],
      [{ clusterSecret, providerEnv: broken }, /cannot be read: they are no JSON/],
      [{ clusterSecret, providerEnv: file("other.json", '{"HCLOUD_TOKEN": ""}') }, /HCLOUD_TOKEN/],
    ] as const) {
      const made = await leader("hetzner", files).hand();
      expect(made).toMatchObject({ why: expect.stringMatching(why) as string });
      expect(JSON.stringify(made)).not.toMatch(/of-nobody/);
    }
  });

  it("and has what its enrolment wrote makes its hand, and ends an earlier leader's complaint", async () => {
    const files = {
      clusterSecret: file("secret", `${secret}\n`),
      providerEnv: file("env.json", '{"HCLOUD_TOKEN": "t0ken-of-nobody"}'),
    };
    const { bench, hand } = leader("hetzner", files);
    const trouble = { area: "credentials", tag: "Credentials", code: "n2", requestId: "", message: "n2 has none" };
    bench.try({ type: "RecordTrouble", id: "home", ...trouble }, memberOf("n2"));
    const made = await hand();
    if ("why" in made) throw new Error(made.why);
    expect(fleetOf(bench.world).troubles).toEqual([]);
    await made.hand.stop();
    await made.close();
  });
});
