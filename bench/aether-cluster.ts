/**
 * Our side: three real daemons from a build, formed by the same harness that the process tests use, on ports and in folders of
 * their own, and the load of bench/stream-load.ts on them. Heartbeats every 100 ms and elections after 1 to 2 s, as etcd's.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeClusterHarness } from "@aether/node/testing/cluster-harness";
import type { BenchCluster } from "./load.ts";
import { runLoad } from "./load.ts";

const raft = { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 };

/** Forms a cluster of `program`, a bundled aetherd. Nothing is left behind when it rejects. */
export async function startAether(program: string): Promise<BenchCluster> {
  const harness = await makeClusterHarness({ size: 3, raft, program });
  try {
    await harness.form();
    const operator = await harness.material("operator", "bench");
    const secure = (["ca", "certificate", "key"] as const).flatMap((name) => {
      const file = join(harness.folder, `operator-${name}.pem`);
      writeFileSync(file, operator[name], { mode: 0o600 });
      return [name === "certificate" ? "--cert" : `--${name}`, file];
    });
    const endpoints = ["--endpoints", harness.nodes.map((node) => node.address).join(","), "--cluster-id", harness.clusterId];
    const script = join(import.meta.dirname, "stream-load.ts");
    return {
      pids: harness.nodes.map((node) => node.process?.pid ?? 0),
      load: (o) => runLoad(process.execPath, [script, ...endpoints, ...secure], o),
      stop: () => harness.dispose(),
    };
  } catch (cause) {
    await harness.dispose();
    throw cause;
  }
}
