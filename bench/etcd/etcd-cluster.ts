/**
 * The peer: three real etcd 3.4 members from Debian on loopback, mutual TLS on clients and peers, fsync on, and etcd's
 * own Go client as the load (putbench.go). Everything lives under the folder given and ends with stop().
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { runLoad, type BenchCluster } from "../load.ts";

export interface Certificates {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** Says what is missing to run the peer, or nothing. */
export function etcdMissing(): string | undefined {
  const has = (command: string): boolean => spawnSync("which", [command]).status === 0;
  if (!has("etcd")) return "etcd is not installed (Debian: apt-get install etcd-server)";
  if (!has("go")) return "go is not installed (Debian: apt-get install golang-go)";
  if (!existsSync("/usr/share/gocode/src/go.etcd.io/etcd")) {
    return "etcd's Go client is not installed (Debian: apt-get install golang-etcd-server-dev)";
  }
  return undefined;
}

function buildLoad(folder: string): string {
  const source = join(folder, "src", "putbench");
  const binary = join(folder, "putbench");
  if (existsSync(binary)) return binary;
  mkdirSync(source, { recursive: true });
  copyFileSync(join(import.meta.dirname, "putbench.go"), join(source, "main.go"));
  const env = { ...process.env, GO111MODULE: "off", GOPATH: `${folder}:/usr/share/gocode` };
  execFileSync("go", ["build", "-o", binary, "putbench"], { cwd: folder, env, stdio: "inherit" });
  return binary;
}

/** Starts three members on ports base..base+5 and waits until they answer. Heartbeat and election are etcd's defaults. */
export async function startEtcd(folder: string, basePort: number, tls: Certificates): Promise<BenchCluster> {
  mkdirSync(folder, { recursive: true });
  const binary = buildLoad(folder);
  const members = [0, 1, 2].map((i) => ({
    name: `e${i + 1}`,
    client: `https://127.0.0.1:${basePort + 2 * i}`,
    peer: `https://127.0.0.1:${basePort + 2 * i + 1}`,
  }));
  const initial = members.map((m) => `${m.name}=${m.peer}`).join(",");
  const children: ChildProcess[] = members.map((m) => {
    const log = openSync(join(folder, `${m.name}.log`), "w");
    const child = spawn(
      "etcd",
      [
        ...["--name", m.name, "--data-dir", join(folder, m.name), "--initial-cluster-state", "new", "--initial-cluster", initial],
        ...["--listen-client-urls", m.client, "--advertise-client-urls", m.client],
        ...["--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer],
        ...["--client-cert-auth", "--trusted-ca-file", tls.ca, "--cert-file", tls.certificate, "--key-file", tls.key],
        ...[
          "--peer-client-cert-auth",
          "--peer-trusted-ca-file",
          tls.ca,
          "--peer-cert-file",
          tls.certificate,
          "--peer-key-file",
          tls.key,
        ],
        ...["--quota-backend-bytes", String(8 * 1024 ** 3), "--logger", "zap"],
      ],
      { stdio: ["ignore", log, log] },
    );
    closeSync(log);
    return child;
  });
  const endpoints = members.map((m) => m.client.replace("https://", "")).join(",");
  const secure = ["--ca", tls.ca, "--cert", tls.certificate, "--key", tls.key];
  const load: BenchCluster["load"] = (o) => runLoad(binary, ["--endpoints", endpoints, "--leader", ...secure], o);
  const stop = async (): Promise<void> => {
    const ended = children.map((child) => new Promise((resolve) => child.once("close", resolve)));
    const alive = children.map((child) => child.exitCode === null && child.signalCode === null && child.kill("SIGKILL"));
    await Promise.all(ended.filter((_, i) => alive[i]));
  };
  try {
    await untilReady(load);
  } catch (cause) {
    await stop();
    throw cause;
  }
  return { pids: children.map((child) => child.pid ?? 0), load, stop };
}

async function untilReady(load: BenchCluster["load"]): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await load({ inFlight: 1, total: 10, size: 16, read: false });
      return;
    } catch (cause) {
      if (attempt === 10) throw cause;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
}
