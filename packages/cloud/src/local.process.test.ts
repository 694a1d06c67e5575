import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { flip, runPromise, type Effect } from "effect/Effect";
import { make as redact, value as reveal } from "effect/Redacted";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { clusterLabels, nodeLabels } from "./labels.ts";
import { makeLocalProvider, type LocalOptions } from "./local.ts";
import { choosePorts } from "./local/ports.ts";
import { isAlive, startOf } from "./local/process-table.ts";
import { recordPath, type InstanceRecord } from "./local/registry.ts";
import type { CloudError, CloudProvider, Instance, InstanceSpec } from "./provider.ts";
import { conformance, type CloudWorld } from "./testing/conformance.ts";

const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
const run = <A>(effect: Effect<A, CloudError>): Promise<A> => runPromise(effect);
const failure = <A>(effect: Effect<A, CloudError>): Promise<CloudError> => runPromise(flip(effect));
const pidOf = (instance: Instance): number => Number(instance.facts["pid"]);

interface LocalWorld extends CloudWorld {
  readonly folder: string;
  readonly options: LocalOptions;
}

async function makeWorld(): Promise<LocalWorld> {
  const folder = mkdtempSync(join(tmpdir(), "aether-local-"));
  const options: LocalOptions = {
    cluster: cluster.name,
    registryDir: join(folder, "instances"),
    nodesDir: join(folder, "nodes"),
    daemon: {
      node: process.execPath,
      nodeOptions: ["--max-semi-space-size=16"],
      entry: join(import.meta.dirname, "testing/idle-daemon.ts"),
    },
    graceMs: 2_000,
  };
  const ports = await choosePorts({ count: 3, base: null, taken: new Set(), seed: folder });
  if ("fault" in ports) throw new Error(ports.fault);
  const provider = makeLocalProvider(options);
  return {
    folder,
    options,
    cluster,
    provider,
    another: makeLocalProvider(options),
    spec: (name) => Promise.resolve(specOf(name, ports[Number(name.slice(1)) - 1] ?? 1)),
    answers: (instance) => answers(instance.address),
    crash: async (instance) => {
      process.kill(pidOf(instance), "SIGKILL");
      await expect.poll(() => startOf(pidOf(instance))).toBeNull();
    },
    close: async () => {
      for (const instance of await run(provider.compute.list(clusterLabels(cluster.name)))) {
        await run(provider.compute.delete(instance.id));
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function specOf(name: string, port: number, extra: object = {}): InstanceSpec {
  const address = `127.0.0.1:${port}`;
  return {
    key: { cluster: cluster.name, node: name, attempt: 1 },
    name,
    address,
    labels: nodeLabels(cluster, name),
    userData: redact(JSON.stringify({ address, ...extra })),
  };
}

function answers(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect({ host: host ?? "", port: Number(port) });
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}

conformance("local", makeWorld);

describe("the local provider", () => {
  let world: LocalWorld;
  let provider: CloudProvider;
  beforeEach(async () => {
    world = await makeWorld();
    provider = world.provider;
  });
  afterEach(() => world.close());
  const record = (name: string) =>
    JSON.parse(readFileSync(recordPath(world.options.registryDir, name), "utf8")) as InstanceRecord;

  const crashedEnsure = async (when: "before" | "after"): Promise<InstanceSpec> => {
    const spec = await world.spec("n1");
    const script = join(import.meta.dirname, "testing/crashing-ensure.ts");
    const wanted = JSON.stringify({ ...spec, userData: reveal(spec.userData) });
    const ended = spawnSync(process.execPath, [script, when, JSON.stringify(world.options), wanted], { encoding: "utf8" });
    expect(ended).toMatchObject({ signal: "SIGKILL", stderr: "" });
    expect(record("n1")).toMatchObject({ power: "starting", process: null });
    return spec;
  };

  it("finishes a start whose starter was killed between the record and the spawn", async () => {
    const spec = await crashedEnsure("before");
    expect((await run(provider.compute.list(clusterLabels(cluster.name)))).map((i) => i.state)).toEqual(["pending"]);
    const { instance, created } = await run(provider.compute.ensure(spec));
    expect(created).toBe(true);
    await expect.poll(() => world.answers(instance)).toBe(true);
  });

  it("adopts the process of a starter that was killed between the spawn and its record", async () => {
    const spec = await crashedEnsure("after");
    await expect.poll(() => answers(spec.address)).toBe(true);
    const { instance, created } = await run(provider.compute.ensure(spec));
    expect(created).toBe(false);
    expect(instance.state).toBe("running");
    expect(readFileSync(String(instance.facts["log"]), "utf8")).toBe(`listening on ${spec.address} as ${pidOf(instance)}\n`);
  });

  it("deletes also the process that no record names", async () => {
    const spec = await crashedEnsure("after");
    await expect.poll(() => answers(spec.address)).toBe(true);
    const [instance] = await run(provider.compute.list(clusterLabels(cluster.name)));
    expect(instance && (await run(provider.compute.delete(instance.id)))).toBe("deleted");
    // its other threads hold the socket for a moment after its first thread has ended
    await expect.poll(() => answers(spec.address)).toBe(false);
  });

  it("sends no signal to a stranger that got the pid of an instance that ended", async () => {
    const { instance } = await run(provider.compute.ensure(await world.spec("n1")));
    await world.crash(instance);
    const old = record("n1");
    // This test process plays the stranger: same pid in the record, another start time.
    const reused = { ...old, process: { pid: process.pid, start: old.process?.start ?? "" } };
    writeFileSync(recordPath(world.options.registryDir, "n1"), JSON.stringify(reused));
    expect((await run(provider.compute.get(instance.id))).state).toBe("failed");
    await run(provider.compute.power(instance.id, "stop-hard"));
    await run(provider.compute.power(instance.id, "start"));
    expect((await run(provider.compute.get(instance.id))).state).toBe("running");
  });

  it("never turns a graceful stop hard by itself", async () => {
    const port = Number((await world.spec("n1")).address.split(":")[1]);
    const { instance } = await run(provider.compute.ensure(specOf("n1", port, { deaf: true })));
    await expect.poll(() => answers(instance.address)).toBe(true);
    expect(await failure(provider.compute.power(instance.id, "stop-graceful"))).toMatchObject({ _tag: "Deadline" });
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopping");
    await run(provider.compute.power(instance.id, "stop-hard"));
    expect((await run(provider.compute.get(instance.id))).state).toBe("stopped");
  });

  it("leaves folders and records alone that are not this cluster's", async () => {
    const stranger = join(world.options.nodesDir, "holiday-photos");
    mkdirSync(stranger, { recursive: true });
    const { instance } = await run(provider.compute.ensure(await world.spec("n1")));
    const foreign = { ...record("n1"), id: "n7.11111111", name: "n7", cluster: "other", labels: { "aether-node": "n7" } };
    const path = recordPath(world.options.registryDir, "n7");
    writeFileSync(path, JSON.stringify(foreign));
    expect((await run(provider.compute.list(clusterLabels(cluster.name)))).map((i) => i.name)).toEqual(["n1"]);
    expect(await failure(provider.compute.delete("n7.11111111" as Instance["id"]))).toMatchObject({ _tag: "Invalid" });
    expect(await failure(provider.compute.ensure(specOf("n7", 20_001)))).toMatchObject({ _tag: "Conflict", kind: "exists" });
    await run(provider.compute.delete(instance.id));
    expect(isAlive(foreign.process ?? { pid: 2, start: "" })).toBe(false);
    expect([existsSync(stranger), existsSync(path)]).toEqual([true, true]);
    rmSync(path);
  });

  it("gives no list at all when one record cannot be read", async () => {
    await run(provider.compute.ensure(await world.spec("n1")));
    const junk = recordPath(world.options.registryDir, "n2");
    writeFileSync(junk, '{"format":1,"name":"n2"');
    expect(await failure(provider.compute.list(clusterLabels(cluster.name)))).toMatchObject({ _tag: "Protocol" });
    rmSync(junk);
  });

  it("refuses a port that something else listens on, and leaves no record of the try", async () => {
    const first = await run(provider.compute.ensure(await world.spec("n1")));
    await expect.poll(() => world.answers(first.instance)).toBe(true);
    const port = Number(first.instance.address.split(":")[1]);
    expect(await failure(provider.compute.ensure(specOf("n2", port)))).toMatchObject({ _tag: "Capacity" });
    expect(existsSync(recordPath(world.options.registryDir, "n2"))).toBe(false);
  });

  it("gives node the daemon's options", async () => {
    const { instance } = await run(world.provider.compute.ensure(await world.spec("n1")));
    const words = readFileSync(`/proc/${pidOf(instance)}/cmdline`, "utf8").split("\0");
    expect(words.slice(0, 3)).toEqual([process.execPath, "--max-semi-space-size=16", world.options.daemon.entry]);
  });

  it("keeps the daemon's configuration and the record from other users' eyes", async () => {
    await run(provider.compute.ensure(await world.spec("n1")));
    const modes = [join(world.options.nodesDir, "n1/node.json"), recordPath(world.options.registryDir, "n1")];
    expect(modes.map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual(["600", "600"]);
  });

  it("leaves no file behind after a delete", async () => {
    const { instance } = await run(provider.compute.ensure(await world.spec("n1")));
    await run(provider.compute.delete(instance.id));
    expect([readdirSync(world.options.nodesDir), readdirSync(world.options.registryDir)]).toEqual([[], []]);
  });
});
