/** From user data to a daemon that answers: real processes, started by nothing but what a vendor gives its machines. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deriveCa } from "../identity/cluster-ca.ts";
import { clientTls } from "../identity/tls.ts";
import { freePort } from "../testing/cluster-harness.ts";
import { openMachineRoom, type MachineRoom } from "../testing/machine-room.ts";
import { makeTestClient } from "../testing/test-client.ts";
import { makeBirths } from "./birth.ts";
import { enrol } from "./enrol.ts";

const cluster = { id: "00112233445566778899aabbccddeeff", name: "prod" };
const secret = "the-cluster-secret-planted-here";
const entry = resolve(import.meta.dirname, "../../dist/aetherd.js");

describe("a machine of a vendor", () => {
  let folder = "";
  let room: MachineRoom;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "aether-room-"));
    room = await openMachineRoom({ folder, entry });
  });
  afterEach(async () => {
    await room.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("becomes a node by its user data and its maker, whatever kills it meanwhile, and stays one", async () => {
    const nodePort = await freePort();
    const births = await makeBirths({
      cluster,
      secret: redact(secret),
      settings: { nodePort, bundleUrl: room.bundleUrl },
      machineOf: ({ size }) => ({ size, image: "debian-12", publicIp: true, networks: [], firewalls: [], sshKeys: [] }),
      daemon: { raft: {}, history: {}, backup: { enabled: false } },
      files: { backupToken: null, providerEnv: null },
    });
    const spec = births.specOf({ node: "n1", attempt: 1, zone: "a", size: "s" });
    const address = `${room.boot({ id: "srv-1", name: "prod-n1", userData: reveal(spec.userData) })}:${nodePort}`;
    await room.settled();
    const machine = room.machines.get("srv-1");
    if (machine === undefined) throw new Error("it was booted");
    const log = (): string => readFileSync(machine.logFile, "utf8");
    await until(() => log().includes("waiting-for-maker"), log);
    const { pid: waiting } = machine;
    if (waiting === null) throw new Error("what waits is a process");
    process.kill(waiting, "SIGKILL");
    await until(() => log().split("waiting-for-maker").length === 3, log);

    const seeds = [{ name: "n1", member: 1, address }];
    const identity = births.identityOf({ node: "n1", member: 1, advertise: address, seeds });
    const maker = { address, birth: births.birthOf({ node: "n1", attempt: 1 }), identity, withinMs: 60_000 };
    expect(await enrol(maker)).toBe("enrolled");
    const ca = await deriveCa(secret, cluster.name);
    const issued = await ca.issue({ clusterId: cluster.id, role: "operator", name: "operator", hosts: [], days: 1 });
    const client = makeTestClient(clientTls({ ca: ca.certificate, ...issued }, { clusterId: cluster.id, name: "n1" }), () => []);
    const lives = (): Promise<boolean> =>
      client.ask("GET", address, "/v1/health/live").then(
        ({ status }) => status === 200,
        () => false,
      );
    await until(lives, log);
    expect(await enrol(maker)).toBe("already");

    room.stop("srv-1", "graceful");
    room.start("srv-1");
    await room.settled();
    expect(log()).toContain("why=SIGTERM");
    await until(lives, log);
    expect(await enrol(maker)).toBe("already");
    for (const planted of [secret, reveal(births.birthOf({ node: "n1", attempt: 1 }).ticket)])
      expect(log()).not.toContain(planted);

    client.close();
    const { root, pid } = machine;
    room.destroy("srv-1");
    await room.settled();
    expect([existsSync(root), existsSync(`/proc/${pid}`)]).toEqual([false, false]);
  });
});

async function until(condition: () => boolean | Promise<boolean>, log: () => string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`waited a minute; the machine says:\n${log()}`);
    await new Promise((resume) => setTimeout(resume, 25));
  }
}
