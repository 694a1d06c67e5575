/** One local instance: its process and its folder. The caller holds the instance's lock. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdir, open, rename, rm, stat } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import { millis } from "effect/Duration";
import type { Instance, InstanceState, PowerAction } from "../provider.ts";
import { errnoOf, writeDurably } from "./durable-file.ts";
import { fault } from "./failure.ts";
import { awaitEnd, findProcess, isAlive, signalProcess, startOf, type ProcessId } from "./process-table.ts";
import { removeRecord, writeRecord, type InstanceRecord } from "./registry.ts";

export interface LocalFolders {
  readonly registryDir: string;
  readonly nodesDir: string;
}
/** What runs: a Node.js binary, its own options, and the daemon's entry file. */
export interface Daemon {
  readonly node: string;
  readonly nodeOptions: readonly string[];
  readonly entry: string;
}

export interface InstanceOptions extends LocalFolders {
  readonly daemon: Daemon;
  readonly graceMs: number;
}

/** A log that has grown past this is set aside at the next start; one older log is kept. */
const logBytesMax = 16 * 1024 * 1024;
/** A process that SIGKILL does not end in this time is stuck in the kernel; a person must look. */
const killMs = 10_000;

const folderOf = (options: LocalFolders, name: string): string => join(options.nodesDir, name);
const configOf = (options: LocalFolders, name: string): string => join(folderOf(options, name), "node.json");
const markOf = (record: InstanceRecord): string => `AETHER_INSTANCE=${record.id}`;

/** Finishes a start that its starter may not have survived: adopts the process if it was spawned, spawns it if not. */
export async function settle(
  options: InstanceOptions,
  record: InstanceRecord,
  userData: string,
): Promise<{ readonly record: InstanceRecord; readonly spawned: boolean }> {
  if (record.power !== "starting") return { record, spawned: false };
  await mkdir(join(folderOf(options, record.name), "data"), { recursive: true, mode: 0o700 });
  await writeDurably(configOf(options, record.name), userData, 0o600);
  return start(options, record);
}

async function start(options: InstanceOptions, record: InstanceRecord) {
  const adopted = findProcess(["--config", configOf(options, record.name)], markOf(record));
  const running = adopted ?? (await spawnDaemon(options, record));
  const started: InstanceRecord = { ...record, power: "on", process: running };
  await writeRecord(options.registryDir, started);
  return { record: started, spawned: adopted === null };
}

export async function powerInstance(options: InstanceOptions, record: InstanceRecord, action: PowerAction): Promise<void> {
  if (record.power === "deleting") {
    const message = `${record.name} is being deleted; finish that with another delete`;
    throw fault({ _tag: "Conflict", kind: "busy", op: `${action} ${record.name}`, message });
  }
  if (action === "start") return turnOn(options, record);
  const off = await turnOff(options, record, action === "stop-hard");
  if (action === "reboot") await turnOn(options, off);
}

async function turnOn(options: InstanceOptions, record: InstanceRecord): Promise<void> {
  if (record.power === "on" && record.process !== null && isAlive(record.process)) return;
  if (record.power === "off" && record.process !== null && !(await awaitEnd(record.process, options.graceMs))) {
    throw tooLate(options, `start ${record.name}`, `process ${record.process.pid} is still ending`);
  }
  const starting: InstanceRecord = { ...record, power: "starting" };
  await writeRecord(options.registryDir, starting);
  await start(options, starting);
}

async function turnOff(options: InstanceOptions, record: InstanceRecord, hard: boolean): Promise<InstanceRecord> {
  // A start that was never finished may have left a process that no record names.
  const unrecorded =
    record.power === "starting" ? findProcess(["--config", configOf(options, record.name)], markOf(record)) : null;
  const off: InstanceRecord = { ...record, power: "off", process: unrecorded ?? record.process };
  await writeRecord(options.registryDir, off);
  if (off.process === null) return off;
  signalProcess(off.process, hard ? "SIGKILL" : "SIGTERM");
  if (!(await awaitEnd(off.process, hard ? killMs : options.graceMs))) {
    throw tooLate(
      options,
      `stop ${record.name}`,
      `process ${off.process.pid} has not ended after ${hard ? "SIGKILL" : "SIGTERM"}`,
    );
  }
  return off;
}

const tooLate = (options: InstanceOptions, op: string, message: string) =>
  fault({ _tag: "Deadline", waitedFor: millis(options.graceMs), op, message });

/** Ends the process (asking first), then removes folder and record, in this order: the record is what finds the rest again. */
export async function removeInstance(options: InstanceOptions, record: InstanceRecord): Promise<void> {
  const processes = [record.process, findProcess(["--config", configOf(options, record.name)], markOf(record))];
  for (const target of processes) {
    if (target !== null) await end(options, record, target);
  }
  const folder = folderOf(options, record.name);
  const inside = relative(options.nodesDir, folder);
  if (inside === "" || inside.startsWith("..") || isAbsolute(inside)) throw new Error(`${folder} is outside ${options.nodesDir}`);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  await removeRecord(options.registryDir, record.name);
}

async function end(options: InstanceOptions, record: InstanceRecord, target: ProcessId): Promise<void> {
  signalProcess(target, "SIGTERM");
  if (await awaitEnd(target, options.graceMs)) return;
  signalProcess(target, "SIGKILL");
  if (await awaitEnd(target, killMs)) return;
  throw tooLate(options, `delete ${record.name}`, `process ${target.pid} has not ended after SIGKILL`);
}

/** A session of its own, so that Ctrl-C in the operator's terminal does not reach it. */
async function spawnDaemon(options: InstanceOptions, record: InstanceRecord): Promise<ProcessId> {
  const folder = folderOf(options, record.name);
  const log = await openLog(join(folder, "aetherd.log"));
  try {
    const { node, nodeOptions, entry } = options.daemon;
    const child = spawn(node, [...nodeOptions, entry, "--config", configOf(options, record.name)], {
      cwd: folder,
      detached: true,
      stdio: ["ignore", log.fd, log.fd],
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: process.env["HOME"] ?? folder, AETHER_INSTANCE: record.id },
    });
    const pid = await spawned(child, record.name);
    child.unref();
    // Ended already: a start time that no process can have says so, and the log says why.
    return { pid, start: startOf(pid) ?? "ended" };
  } finally {
    await log.close();
  }
}

function spawned(child: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (error) => {
      const message = `cannot start ${child.spawnfile}: ${error.message}`;
      reject(fault({ _tag: "Transient", maybeApplied: false, op: `start ${name}`, code: errnoOf(error) ?? "spawn", message }));
    });
    child.once("spawn", () => {
      if (child.pid === undefined) throw new Error("a spawned process has a pid");
      resolve(child.pid);
    });
  });
}

async function openLog(path: string) {
  const size = await stat(path).then(
    (file) => file.size,
    () => 0,
  );
  if (size > logBytesMax) await rename(path, `${path}.1`);
  return open(path, "a", 0o600);
}

/** Looks every 20 ms. A Deadline names the state it was found in last. */
export async function awaitInstance(
  look: () => Promise<Instance>,
  want: readonly InstanceState[],
  withinMs: number,
): Promise<Instance> {
  const until = performance.now() + withinMs;
  for (;;) {
    const instance = await look();
    if (want.includes(instance.state)) return instance;
    if (performance.now() >= until) {
      const message = `${instance.name} is ${instance.rawState} after ${withinMs} ms, wanted ${want.join(" or ")}`;
      throw fault({ _tag: "Deadline", waitedFor: millis(withinMs), op: `await ${instance.name}`, message });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
