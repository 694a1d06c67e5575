/** One of the clusters that a bench compares: how it is started, and what was measured on it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deriveCa } from "@aether/node/identity/cluster-ca";
import { startAether } from "./aether-cluster.ts";
import { startEtcd } from "./etcd/etcd-cluster.ts";
import type { BenchCluster, LoadResult } from "./load.ts";
import type { Costs } from "./process-costs.ts";

export interface Round extends LoadResult {
  readonly costs: Costs;
}

export interface Side {
  readonly name: string;
  readonly cluster: BenchCluster;
  /** Per number in flight: how many requests a round, and one result a round. */
  readonly totals: Map<number, number>;
  readonly rounds: Map<number, Round[]>;
}

const side = (name: string, cluster: BenchCluster): Side => ({
  name,
  cluster,
  totals: new Map(),
  rounds: new Map(),
});

/** `program` is a bundled aetherd. */
export const aetherSide = async (name: string, program: string): Promise<Side> => side(name, await startAether(program));

/** Its certificates come from a CA made like ours: the same curves on both sides. */
export async function etcdSide(folder: string): Promise<Side> {
  mkdirSync(folder);
  const ca = await deriveCa("bench", "bench");
  const hosts = ["127.0.0.1", "localhost"];
  const leaf = await ca.issue({
    clusterId: "0".repeat(32),
    role: "member",
    name: "etcd",
    hosts,
    days: 2,
  });
  const path = (name: string, pem: string): string => {
    const file = join(folder, name);
    writeFileSync(file, pem, { mode: 0o600 });
    return file;
  };
  const tls = {
    ca: path("ca.pem", ca.certificate),
    certificate: path("cert.pem", leaf.certificate),
    key: path("key.pem", leaf.key),
  };
  return side("etcd", await startEtcd(folder, 23_790, tls));
}
