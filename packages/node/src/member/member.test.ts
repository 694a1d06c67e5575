import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { reject, type Command } from "@aether/core/kernel/command";
import { makeRegistry } from "@aether/core/kernel/registry";
import { openLog, formatLog } from "@aether/store/log/open";
import { openSnapshots } from "@aether/store/snapshots";
import type { Answer, Submission } from "@aether/store/types";
import { deriveCa, type ClusterCa } from "../identity/cluster-ca.ts";
import { identityOf } from "../identity/guard.ts";
import { clientTls } from "../identity/tls.ts";
import { openFrontDoor, type FrontDoor } from "../server/front-door.ts";
import { makeGateway, type Gateway } from "../server/gateway.ts";
import { makeLeaderLink } from "../server/leader-link.ts";
import { makeUpgrades } from "../server/upgrades.ts";
import { freePort } from "../testing/cluster-harness.ts";
import { makePeerTransport, type PeerTransport } from "../transport/peer-transport.ts";
import { startMember, type RunningMember } from "./member.ts";

const clusterId = "00112233445566778899aabbccddeeff";
const registry = makeRegistry([
  {
    name: "counter",
    events: [{ type: "Counted", v: 1, level: 1, upcast: {}, parse: (x) => x as never }],
    commands: [
      {
        type: "Count",
        roles: ["operator"],
        parse: (x) => (typeof (x as Command)["by"] === "number" ? (x as Command) : reject("invalid", "by: a number", "")),
        decide: (_world, c) => ({ events: [{ type: "Counted", v: 1, id: c.id, by: c["by"] }] }),
      },
    ],
    evolve: (row, event) => ({ total: ((row as { total: number } | undefined)?.total ?? 0) + (event["by"] as number) }),
  },
]);
const count = (id: string, request: string): Submission => ({
  command: { type: "Count", id, by: 1 },
  actor: { name: "ops", role: "operator" },
  request: { client: "operator:ops", id: request },
});

interface Node {
  readonly member: number;
  readonly running: RunningMember;
  readonly gateway: Gateway;
  readonly door: FrontDoor;
  stop(): Promise<void>;
}

describe("members composed from log, store, driver and transport", () => {
  const folder = mkdtempSync(join(tmpdir(), "aether-member-"));
  const nodes: Node[] = [];
  afterEach(async () => {
    for (const node of nodes.splice(0)) await node.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (ca: ClusterCa, member: number, ports: readonly number[]): Promise<Node> => {
    const dataDir = join(folder, `n${member}`);
    const voters = ports.map((_, i) => i + 1);
    await formatLog(dataDir, { clusterId, nodeId: member }, voters);
    const { verdict, storage } = await openLog(dataDir, { clusterId, nodeId: member });
    if (storage === undefined || !("boot" in verdict)) throw new Error(`log: ${verdict.v}`);
    const snapshots = await openSnapshots(join(dataDir, "snap"));
    const issued = await ca.issue({ clusterId, role: "member", name: `n${member}`, hosts: ["127.0.0.1"], days: 1 });
    const tls = { ca: ca.certificate, ...issued };
    const addressOf = (id: number): string | undefined =>
      ports[id - 1] === undefined ? undefined : `127.0.0.1:${ports[id - 1]}`;
    let transport: PeerTransport | null = null;
    const started = await startMember({
      member,
      dataDir,
      registry,
      storage,
      snapshots,
      boot: verdict.boot,
      keepEntries: 1000,
      raft: { tickMs: 20, electionTicks: 15, heartbeatTicks: 2 },
      makeTransport: () => {
        const self = { id: member, incarnation: Date.now(), build: "test", features: [] };
        transport = makePeerTransport({ clusterId, self, tls, snapshots, standing: () => "welcome" });
        return transport;
      },
      addressOf: (_store, id) => addressOf(id),
      vouch: () => Promise.resolve(null),
      onFatal: (error) => {
        throw error;
      },
      onDenied: () => undefined,
      onRecovered: () => undefined,
    });
    if ("refused" in started) throw new Error(started.refused);
    const link = makeLeaderLink({ tls: clientTls(tls, { clusterId }), addressOf });
    const gateway = makeGateway({ store: started.store, link, now: () => performance.now(), random: Math.random });
    const upgrades = makeUpgrades();
    const deps = { node: `n${member}`, store: started.store, gateway, registry, leader: () => null, onDenied: () => undefined };
    const door = await openFrontDoor({
      host: "127.0.0.1",
      port: ports[member - 1] ?? 0,
      tls,
      clusterId,
      onRefused: () => undefined,
      onRequest: (_req, res) => void res.end(),
      onUpgrade: (req, socket, head, call) => {
        const channel = call.url.pathname.split("/").pop() as "append" | "control" | "snapshot" | "stream";
        if (channel === "stream") upgrades.stream(req, socket, head, call, deps);
        else transport?.upgrade(channel, req, socket, head, identityOf(req.socket));
      },
    });
    const stop = async (): Promise<void> => {
      link.close();
      await started.stop();
      await door.close();
    };
    return { member, running: started, gateway, door, stop };
  };
  const settle = (node: Node, n: number): Promise<Answer> => node.gateway.settle(count("c", `k${n}`), 10_000);

  it(
    "three of them elect a leader, take writes at every door, carry on without the leader, and agree",
    { timeout: 60_000 },
    async () => {
      const ca = await deriveCa("secret", "test");
      const ports = [await freePort(), await freePort(), await freePort()];
      for (const member of [1, 2, 3]) nodes.push(await start(ca, member, ports));

      for (let n = 0; n < 30; n++) {
        const node = nodes[n % 3] as Node;
        expect(await settle(node, n)).toMatchObject({ ok: true, changed: true });
      }
      const leader = nodes.find((node) => node.running.store.role.state === "leader") as Node;
      const others = nodes.filter((node) => node !== leader);
      await leader.stop();
      for (let n = 30; n < 40; n++) expect(await settle(others[n % 2] as Node, n)).toMatchObject({ ok: true });
      expect(await settle(others[0] as Node, 5)).toMatchObject({ ok: true, replayed: true });

      for (const node of others) {
        expect(await node.gateway.barrier(5_000)).toBeTypeOf("number");
        expect(node.running.store.world.get("counter", "c")?.row).toEqual({ total: 40 });
      }
      const [a, b] = others.map((node) => node.running.store.stateDigest());
      expect(a).toEqual(b);
    },
  );
});
