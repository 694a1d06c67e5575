/**
 * The peer: three real etcd 3.4 members from Debian on loopback, mutual TLS on clients and peers, fsync on, and etcd's
 * own Go client as the load (putbench.go). Everything lives under the folder given and ends with stop().
 */
import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import { freePort } from "@aether/node/testing/cluster-harness";
import { placeOf } from "../aether-cluster.ts";
import { runLoad, runProbe, type BenchCluster } from "../load.ts";
import { ask, type ClientFiles } from "../member-http.ts";

/** Debian's packages without which there is no other side. */
const packages = [
  { name: "etcd-server", there: () => installed("etcd") },
  { name: "golang-go", there: () => installed("go") },
  { name: "golang-etcd-server-dev", there: () => existsSync("/usr/share/gocode/src/go.etcd.io/etcd") },
];
const installed = (command: string): boolean => spawnSync("which", [command]).status === 0;

/** The Debian packages that are missing to run the peer. */
export const etcdMissing = (): readonly string[] => packages.filter(({ there }) => !there()).map(({ name }) => name);

/** What saves and restores the peer's snapshots: in Debian's etcd-client. */
export const etcdctlThere = (): boolean => installed("etcdctl");

/** The peer, with what only it has. */
export interface EtcdCluster extends BenchCluster {
  /** `etcdctl snapshot save` of the first member into a file: milliseconds it took. */
  saveSnapshot(file: string): Promise<number>;
  /**
   * Ends the members, and brings three of the same names up with `etcdctl snapshot restore` of the file, all at once as on three machines,
   * in new folders. Milliseconds from the first restore until a linearizable read through every member is answered.
   */
  restoreSnapshot(file: string): Promise<{ readonly restoreMs: number; readonly servesMs: number }>;
}

interface EtcdMember {
  readonly name: string;
  /** Changes with a restore. */
  dataDir: string;
  readonly client: string;
  readonly peer: string;
  readonly log: string;
  process: ChildProcess | null;
  /** Length of the log when it was last started. */
  logBegins: number;
}

/** Of etcd's HTTP gateway, POST /v3/maintenance/status. Numbers come as text. */
interface Status {
  readonly header: { readonly member_id: string };
  readonly leader?: string;
  readonly raftAppliedIndex?: string;
}

/** Starts three members and waits until they answer. Heartbeat and election are etcd's defaults: 100 ms and 1 s. */
export async function startEtcd(folder: string): Promise<EtcdCluster> {
  mkdirSync(folder, { recursive: true });
  const binary = buildLoad(folder);
  const { files, pem } = await certificates(folder);
  const members: EtcdMember[] = [];
  for (const name of ["e1", "e2", "e3"]) {
    const [client, peer] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    members.push({
      name,
      dataDir: join(folder, name),
      client,
      peer,
      log: join(folder, `${name}.log`),
      process: null,
      logBegins: 0,
    });
  }
  const cluster = clusterOf(folder, binary, members, files, pem);
  try {
    members.forEach((_, place) => cluster.start(place));
    await untilReady(cluster);
  } catch (cause) {
    await cluster.stop();
    throw cause;
  }
  return cluster;
}

function buildLoad(folder: string): string {
  const source = join(folder, "src", "putbench");
  const binary = join(folder, "putbench");
  mkdirSync(source, { recursive: true });
  copyFileSync(join(import.meta.dirname, "putbench.go"), join(source, "main.go"));
  const env = { ...process.env, GO111MODULE: "off", GOPATH: `${folder}:/usr/share/gocode` };
  execFileSync("go", ["build", "-o", binary, "putbench"], { cwd: folder, env, stdio: "inherit" });
  return binary;
}

/** From a CA made like ours: the same curves on both sides. */
async function certificates(folder: string): Promise<{ files: ClientFiles; pem: ClientFiles }> {
  const ca = await deriveCa("bench", "bench");
  const hosts = ["127.0.0.1", "localhost"];
  const leaf = await ca.issue({ clusterId: "0".repeat(32), role: "member", name: "etcd", hosts, days: 2 });
  const pem = { ca: ca.certificate, certificate: leaf.certificate, key: leaf.key };
  const path = (name: keyof ClientFiles): string => {
    const file = join(folder, `${name}.pem`);
    writeFileSync(file, pem[name], { mode: 0o600 });
    return file;
  };
  return { files: { ca: path("ca"), certificate: path("certificate"), key: path("key") }, pem };
}

const initialCluster = (all: readonly EtcdMember[]): string => all.map(({ name, peer }) => `${name}=https://${peer}`).join(",");

function launch(member: EtcdMember, all: readonly EtcdMember[], tls: ClientFiles): void {
  member.logBegins = existsSync(member.log) ? statSync(member.log).size : 0;
  const log = openSync(member.log, "a");
  const own = [`https://${member.client}`, `https://${member.peer}`] as const;
  const child = spawn(
    "etcd",
    [
      ...["--name", member.name, "--data-dir", member.dataDir, "--initial-cluster-state", "new"],
      ...["--initial-cluster", initialCluster(all)],
      ...["--listen-client-urls", own[0], "--advertise-client-urls", own[0]],
      ...["--listen-peer-urls", own[1], "--initial-advertise-peer-urls", own[1]],
      ...["--client-cert-auth", "--trusted-ca-file", tls.ca, "--cert-file", tls.certificate, "--key-file", tls.key],
      ...["--peer-client-cert-auth", "--peer-trusted-ca-file", tls.ca],
      ...["--peer-cert-file", tls.certificate, "--peer-key-file", tls.key],
      ...["--quota-backend-bytes", String(8 * 1024 ** 3), "--logger", "zap", "--log-outputs", "stderr"],
    ],
    { stdio: ["ignore", log, log] },
  );
  closeSync(log);
  member.process = child;
  child.on("exit", () => (member.process = null));
}

function clusterOf(
  folder: string,
  binary: string,
  members: readonly EtcdMember[],
  files: ClientFiles,
  pem: ClientFiles,
): EtcdCluster {
  const endpoints = ["--endpoints", members.map(({ client }) => client).join(",")];
  const secure = ["--ca", files.ca, "--cert", files.certificate, "--key", files.key];
  const member = (place: number): EtcdMember => members[place]!;
  const post = async (place: number, path: string, body: unknown): Promise<unknown> => {
    const answer = await ask(member(place).client, pem, "POST", path, body);
    return answer?.status === 200 ? answer.body : null;
  };
  const status = async (place: number): Promise<Status | null> =>
    (await post(place, "/v3/maintenance/status", {})) as Status | null;
  const kill = (child: ChildProcess): Promise<void> =>
    new Promise((resolve) => {
      child.once("close", () => resolve());
      child.kill("SIGKILL");
    });
  const cluster: BenchCluster = {
    get members() {
      return members.map(({ name, process }) => ({ name, pid: process?.pid ?? null }));
    },
    get pids() {
      return members.flatMap((each) => each.process?.pid ?? []);
    },
    load: (o) => runLoad(binary, [...endpoints, "--leader", ...secure], o),
    probe: (everyMs) => runProbe(binary, [...endpoints, ...secure], everyMs),
    leader: () =>
      placeOf(members.length, async (place) => {
        const said = await status(place);
        return said?.leader !== undefined && said.leader === said.header.member_id;
      }),
    facts: async (place) => {
      const applied = (await status(place))?.raftAppliedIndex;
      return applied === undefined ? null : { applied: Number(applied), first: Number.NaN };
    },
    serves: async (place) => {
      const key = Buffer.from("k00000001").toString("base64");
      return (await post(place, "/v3/kv/range", { key })) !== null;
    },
    consensusSince: (place) => becameFollower(readFileSync(member(place).log).subarray(member(place).logBegins).toString("utf8")),
    start: (place) => launch(member(place), members, files),
    signal: async (place, signal) => {
      const child = member(place).process;
      if (child === null) return;
      if (signal === "SIGKILL") await kill(child);
      else child.kill(signal);
    },
    stop: async () => {
      await Promise.all(members.flatMap((each) => (each.process === null ? [] : [kill(each.process)])));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return withSnapshots(cluster, folder, members, files);
}

function withSnapshots(cluster: BenchCluster, folder: string, members: readonly EtcdMember[], files: ClientFiles): EtcdCluster {
  const secure = ["--cacert", files.ca, "--cert", files.certificate, "--key", files.key];
  const env = { ...process.env, ETCDCTL_API: "3" };
  const etcdctl = async (args: readonly string[]): Promise<number> => {
    const began = performance.now();
    await promisify(execFile)("etcdctl", args, { env, maxBuffer: 1 << 24 });
    return performance.now() - began;
  };
  let restores = 0;
  const restoreSnapshot = async (file: string): Promise<{ restoreMs: number; servesMs: number }> => {
    await Promise.all(members.map((_, place) => cluster.signal(place, "SIGKILL")));
    restores += 1;
    for (const member of members) member.dataDir = join(folder, `${member.name}-restored-${restores}`);
    const began = performance.now();
    await Promise.all(
      members.map((member) =>
        etcdctl([
          ...["snapshot", "restore", file, "--name", member.name, "--data-dir", member.dataDir],
          ...["--initial-cluster", initialCluster(members), "--initial-cluster-token", `restored-${restores}`],
          ...["--initial-advertise-peer-urls", `https://${member.peer}`],
        ]),
      ),
    );
    const restoreMs = performance.now() - began;
    members.forEach((_, place) => cluster.start(place));
    for (const [place] of members.entries()) {
      while (!(await cluster.serves(place))) {
        if (performance.now() - began > restoredMaxMs) throw new Error(`restored, etcd answers nothing for ${restoredMaxMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
    return { restoreMs, servesMs: performance.now() - began };
  };
  const saveSnapshot = (file: string): Promise<number> =>
    etcdctl([...secure, "--endpoints", members[0]?.client ?? "", "snapshot", "save", file]);
  // onto the same object: its members and pids are getters
  return Object.assign(cluster, { saveSnapshot, restoreSnapshot });
}

const restoredMaxMs = 120_000;

/** etcd logs JSON lines; the first thing that its consensus does after a start is to become a follower. */
function becameFollower(log: string): number | null {
  const line = log.split("\n").find((text) => text.includes("became follower at term"));
  const at = line === undefined ? undefined : /"ts":"?([^",]+)/.exec(line)?.[1];
  if (at === undefined) return null;
  // Seconds since 1970, or a date, depending on the version.
  return /^\d+(\.\d+)?$/.test(at) ? Number(at) * 1_000 : Date.parse(at);
}

async function untilReady(cluster: BenchCluster): Promise<void> {
  await cluster.leader();
  for (let attempt = 1; ; attempt++) {
    try {
      await cluster.load({ inFlight: 1, total: 10, size: 16 });
      return;
    } catch (cause) {
      if (attempt === 10) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}
