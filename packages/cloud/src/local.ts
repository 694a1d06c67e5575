/**
 * The local provider: an instance is a detached `aetherd` process of this computer, with its own data folder, loopback port
 * and log. It keeps the promises of a cloud (idempotent by key, found by labels, deleted for good) with files and /proc.
 */
import { access, constants, mkdir, statfs } from "node:fs/promises";
import { createHash, randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { toMillis } from "effect/Duration";
import { value as reveal } from "effect/Redacted";
import { applyLabels, carries, clusterLabels, labelFault, labelKeys, patchFault } from "./labels.ts";
import { awaitInstance, powerInstance, removeInstance, settle, type Daemon, type LocalFolders } from "./local/instance.ts";
import type { CertificateIssuer } from "./certificates/issuer.ts";
import { call } from "./local/call.ts";
import { makeLocalCertificates } from "./local/certificates.ts";
import { exclusively } from "./local/exclusive.ts";
import { fault } from "./local/failure.ts";
import { isPortFree } from "./local/ports.ts";
import { isAlive, startOf } from "./local/process-table.ts";
import { readRecord, readRecords, writeRecord, type InstanceRecord } from "./local/registry.ts";
import type { CloudProvider, Instance, InstanceId, InstanceSpec, InstanceState, LabelPatch, Labels, Peer } from "./provider.ts";

export interface LocalOptions {
  readonly cluster: string;
  /** One record for each instance. */
  readonly registryDir: string;
  /** A folder for each instance: `node.json`, `data/`, `aetherd.log`. */
  readonly nodesDir: string;
  readonly daemon: Daemon;
  /** How long a daemon may take to end after SIGTERM. */
  readonly graceMs: number;
  /** The cluster's CA. Without one, certificates can be imported and not issued. */
  readonly issuer?: CertificateIssuer;
}

const freeBytesMin = 256 * 1024 * 1024;

/** Everything the local provider can do for one cluster. Nothing is touched until an effect runs. */
export function makeLocalProvider(options: LocalOptions): CloudProvider {
  const byId = (op: string, id: InstanceId) => recordOf(options, op, id);
  return {
    name: "local",
    compute: {
      ensure: (spec) => call(`ensure ${spec.name}`, () => ensure(options, spec)),
      get: (id) => call(`get ${id}`, async () => describe(options, await byId("get", id))),
      list: (selector) => call("list", () => list(options, selector)),
      delete: (id) => call(`delete ${id}`, () => deleteById(options, id)),
      power: (id, action) =>
        call(`${action} ${id}`, () =>
          exclusively(options.registryDir, nameOf(id), `power ${action}`, async () =>
            powerInstance(options, await byId(action, id), action),
          ),
        ),
      label: (id, patch) => call(`label ${id}`, () => label(options, id, patch)),
      awaitState: (id, want, within) =>
        call(`await ${id}`, () => awaitInstance(async () => describe(options, await byId("await", id)), want, toMillis(within))),
    },
    discovery: {
      peers: (cluster) => call(`peers of ${cluster}`, async () => (await list(options, clusterLabels(cluster))).map(asPeer)),
    },
    certificates: makeLocalCertificates({ dir: certificatesOf(options), issuer: options.issuer, now: Date.now }),
    preflight: call("preflight", () => preflight(options)),
  };
}

/** Beside the registry. */
const certificatesOf = (options: LocalOptions): string => join(dirname(options.registryDir), "certificates");

/** Record first, then folder and process: whatever is interrupted is found again by the next call and finished. */
async function ensure(options: LocalOptions, spec: InstanceSpec): Promise<{ instance: Instance; created: boolean }> {
  const wrong = specFault(options, spec);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `ensure ${spec.name}`, message: wrong });
  return exclusively(options.registryDir, spec.name, "ensure", async () => {
    const found = await readRecord(options.registryDir, spec.name);
    const record = found?.power === "deleting" ? await finishDelete(options, found) : found;
    if (record !== null) {
      refuseAnother(record, spec);
      const settled = await settle(options, record, reveal(spec.userData));
      return { instance: describe(options, settled.record), created: settled.spawned };
    }
    if (!(await isPortFree(portOf(spec.address)))) {
      throw fault({ _tag: "Capacity", op: `ensure ${spec.name}`, message: `${spec.address} is in use by something else` });
    }
    const fresh = newRecord(options, spec);
    await writeRecord(options.registryDir, fresh);
    const settled = await settle(options, fresh, reveal(spec.userData));
    return { instance: describe(options, settled.record), created: true };
  });
}

async function finishDelete(options: LocalOptions, record: InstanceRecord): Promise<null> {
  await removeInstance(options, record);
  return null;
}

function newRecord(options: LocalOptions, spec: InstanceSpec): InstanceRecord {
  return {
    format: 1,
    id: `${spec.name}.${randomBytes(4).toString("hex")}`,
    name: spec.name,
    cluster: options.cluster,
    attempt: spec.key.attempt,
    address: spec.address,
    labels: spec.labels,
    createdAt: Date.now(),
    spec: specDigest(spec),
    power: "starting",
    process: null,
  };
}

/** The same key must mean the same thing; anything else is someone else's instance under our name. */
function refuseAnother(record: InstanceRecord, spec: InstanceSpec): void {
  const op = `ensure ${spec.name}`;
  if (record.labels[labelKeys.managed] !== "true" || record.cluster !== spec.key.cluster) {
    throw fault({
      _tag: "Conflict",
      kind: "exists",
      op,
      message: `${spec.name} exists and does not belong to ${spec.key.cluster}`,
    });
  }
  if (record.attempt !== spec.key.attempt) {
    const message = `${spec.name} exists from attempt ${record.attempt}; attempt ${spec.key.attempt} needs it deleted first`;
    throw fault({ _tag: "Conflict", kind: record.attempt > spec.key.attempt ? "stale" : "exists", op, message });
  }
  if (record.spec !== specDigest(spec)) {
    throw fault({
      _tag: "Conflict",
      kind: "exists",
      op,
      message: `${spec.name} exists with another address, labels or configuration`,
    });
  }
}

async function list(options: LocalOptions, selector: Labels): Promise<readonly Instance[]> {
  const wrong = labelFault(selector);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: "list", message: wrong });
  const records = await readRecords(options.registryDir);
  return records.filter((record) => carries(record.labels, selector)).map((record) => describe(options, record));
}

async function deleteById(options: LocalOptions, id: InstanceId): Promise<"deleted" | "absent"> {
  return exclusively(options.registryDir, nameOf(id), "delete", async () => {
    const record = await readRecord(options.registryDir, nameOf(id));
    if (record === null || record.id !== id) return "absent";
    if (!carries(record.labels, clusterLabels(options.cluster))) {
      const message = `${record.name} does not carry the labels of cluster ${options.cluster}: it is not ours to delete`;
      throw fault({ _tag: "Invalid", op: `delete ${record.name}`, message });
    }
    await writeRecord(options.registryDir, { ...record, power: "deleting" });
    await removeInstance(options, record);
    return "deleted";
  });
}

async function label(options: LocalOptions, id: InstanceId, patch: LabelPatch): Promise<Instance> {
  const wrong = patchFault(patch);
  if (wrong !== null) throw fault({ _tag: "Invalid", op: `label ${id}`, message: wrong });
  return exclusively(options.registryDir, nameOf(id), "label", async () => {
    const record = await recordOf(options, "label", id);
    const labelled = { ...record, labels: applyLabels(record.labels, patch) };
    await writeRecord(options.registryDir, labelled);
    return describe(options, labelled);
  });
}

async function recordOf(options: LocalOptions, op: string, id: InstanceId): Promise<InstanceRecord> {
  const record = await readRecord(options.registryDir, nameOf(id));
  if (record?.id === id) return record;
  throw fault({ _tag: "NotFound", eventual: false, op: `${op} ${id}`, message: `there is no instance ${id}` });
}

function describe(options: LocalFolders, record: InstanceRecord): Instance {
  const alive = record.process !== null && isAlive(record.process);
  const folder = join(options.nodesDir, record.name);
  const pid: Record<string, number> = alive && record.process !== null ? { pid: record.process.pid } : {};
  const [state, rawState] = stateOf(record, alive);
  return {
    id: record.id as InstanceId,
    name: record.name,
    state,
    rawState,
    address: record.address,
    labels: record.labels,
    createdAt: record.createdAt,
    facts: { ...pid, dataDir: join(folder, "data"), log: join(folder, "aetherd.log") },
  };
}

function stateOf(record: InstanceRecord, alive: boolean): readonly [InstanceState, string] {
  if (record.power === "starting") return ["pending", "starting"];
  if (record.power === "deleting") return ["deleting", "deleting"];
  if (record.power === "on") return alive ? ["running", "running"] : ["failed", "ended by itself"];
  return alive ? ["stopping", "ending"] : ["stopped", "stopped"];
}

const asPeer = (instance: Instance): Peer => ({
  node: instance.labels[labelKeys.node] ?? instance.name,
  address: instance.address,
  instance: instance.id,
  state: instance.state,
});

function specFault(options: LocalOptions, spec: InstanceSpec): string | null {
  if (spec.key.cluster !== options.cluster) return `this provider serves ${options.cluster}, not ${spec.key.cluster}`;
  if (spec.key.node !== spec.name) return `the key names node ${spec.key.node}, the spec ${spec.name}`;
  if (!/^127\.0\.0\.1:\d{1,5}$/.test(spec.address)) return `${spec.address}: a local instance listens on 127.0.0.1:<port>`;
  if (portOf(spec.address) < 1 || portOf(spec.address) > 65_535) return `${spec.address}: a port is 1 to 65535`;
  const owner = clusterLabels(options.cluster);
  if (!carries(spec.labels, owner)) return `the labels must contain ${JSON.stringify(owner)}`;
  return labelFault(spec.labels);
}

const specDigest = (spec: InstanceSpec): string =>
  createHash("sha256")
    .update(
      JSON.stringify([
        spec.name,
        spec.address,
        Object.entries(spec.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)),
        reveal(spec.userData),
      ]),
    )
    .digest("hex");

/** An id is "<name>.<8 hex digits>". */
const nameOf = (id: InstanceId): string => id.split(".")[0] ?? "";
const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(":") + 1));

const can = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

async function preflight(options: LocalOptions) {
  await mkdir(options.nodesDir, { recursive: true, mode: 0o700 });
  const disk = await statfs(options.nodesDir);
  const freeBytes = disk.bavail * disk.bsize;
  return [
    { check: "/proc shows processes", ok: startOf(process.pid) !== null, detail: "pid and start time identify an instance" },
    { check: "the node binary", ok: await can(options.daemon.node, constants.X_OK), detail: options.daemon.node },
    { check: "the daemon", ok: await can(options.daemon.entry, constants.R_OK), detail: options.daemon.entry },
    { check: "the nodes' folder is writable", ok: await can(options.nodesDir, constants.W_OK), detail: options.nodesDir },
    { check: "disk space", ok: freeBytes >= freeBytesMin, detail: `${Math.floor(freeBytes / 1024 / 1024)} MiB free, 256 needed` },
  ];
}
