/**
 * Our side: three real members bootstrapped by the shipped command into a home folder of the bench's own, and the load of
 * bench/stream-load.ts on them. Ends with stop().
 */
import { execFileSync, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { LoadOptions, LoadResult } from "./etcd/etcd-cluster.ts";

const root = resolve(import.meta.dirname, "..");
const command = join(root, "packages/cli/dist/aether.js");

export interface AetherCluster {
  readonly pids: readonly number[];
  load(o: LoadOptions): Promise<LoadResult>;
  stop(): void;
}

interface Status {
  readonly clusterId: string;
  readonly members: readonly { readonly address: string; readonly pid: number }[];
}

/** Bootstraps cluster "bench" under `home` on ports from `basePort`; needs a build (npm run build). */
export function startAether(home: string, basePort: number): AetherCluster {
  const file = join(home, "bench.toml");
  writeFileSync(file, `[cluster]\nname = "bench"\nsize = 3\n\n[cloud]\nprovider = "local"\n\n[local]\nbase_port = ${basePort}\n`);
  const env = { ...process.env, AETHER_HOME: home };
  const aether = (...args: string[]): string =>
    execFileSync(process.execPath, [command, ...args], { env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  aether("cluster", "bootstrap", "--config", file, "--yes");
  const status = JSON.parse(aether("cluster", "status", "-o", "json")) as Status;
  const pki = join(home, "clusters/bench/pki");
  const load = (o: LoadOptions): Promise<LoadResult> =>
    new Promise((done, fail) => {
      const options = ["--in-flight", String(o.inFlight), "--total", String(o.total), "--size", String(o.size)];
      const secure = ["--ca", join(pki, "ca.pem"), "--cert", join(pki, "operator.pem"), "--key", join(pki, "operator.key")];
      const endpoints = ["--endpoints", status.members.map((m) => m.address).join(","), "--cluster-id", status.clusterId];
      const args = [join(import.meta.dirname, "stream-load.ts"), ...endpoints, ...secure, ...options, ...(o.read === true ? ["--read"] : [])];
      const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
      let out = "";
      child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      child.on("close", (code) => {
        if (code === 0) done(JSON.parse(out) as LoadResult);
        else fail(new Error(`stream-load ended with ${code}`));
      });
    });
  return { pids: status.members.map((m) => m.pid), load, stop: () => void aether("cluster", "destroy", "--yes") };
}
