/** `aether cluster bootstrap`: twelve steps, each of which finds out what is already there before it acts. */
import { counted } from "../shell/counted.ts";
import type { Invocation, Run } from "../shell/command.ts";
import type { Shell } from "../shell/shell.ts";
import { exit, Failure } from "../shell/failure.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { localProvider, withClusterLock } from "../cluster/local-cluster.ts";
import { readClusterFile, resolveSecret, type ClusterPlan } from "./cluster-plan.ts";
import { discoverPeers, formConsensus, awaitLeader, initialiseStore } from "./form.ts";
import { createIdentity } from "./identity.ts";
import { lookForCluster, preflight, provisionInstances, startNodes } from "./provision.ts";
import { Steps, type Bootstrap } from "./steps.ts";
import { verifyReadiness } from "./verify.ts";

const waitMs = 60_000;

/** Exit code 0 when the cluster is ready, whether it was made now, finished now or found. */
export const run: Run = async (call, shell) => {
  const steps = new Steps(shell);
  const onInterrupt = (): void => {
    steps.interrupted();
    process.exit(exit.interrupted);
  };
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  try {
    const file = call.text("config") ?? "";
    const plan = await steps.run(1, () => readClusterFile(file, shell));
    const folder = clusterFolder(shell.home, plan.name, plan.settings.dataDir);
    return await withClusterLock(folder, "cluster bootstrap", () => bootstrap(call, shell, steps, plan, folder));
  } catch (error) {
    throw error instanceof Failure ? await steps.explain(error) : error;
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
  }
};

async function bootstrap(
  call: Invocation,
  shell: Shell,
  steps: Steps,
  plan: ClusterPlan,
  folder: ClusterFolder,
): Promise<number> {
  await steps.open(plan, folder);
  const secret = await steps.run(2, () => resolveSecret(plan, folder, shell));
  await steps.run(3, () => preflight(plan, folder));
  const b: Bootstrap = {
    shell,
    steps,
    plan,
    folder,
    provider: localProvider(plan.name, folder),
    waitMs: call.duration("timeout") ?? waitMs,
  };
  await steps.run(4, () => lookForCluster(b));
  const identity = await steps.run(5, () => createIdentity(b, secret));
  await steps.run(6, () => provisionInstances(b, identity));
  await steps.run(7, () => startNodes(b, identity));
  const peers = await steps.run(8, () => discoverPeers(b, identity));
  try {
    await steps.run(9, () => formConsensus(b, identity, peers));
    await steps.run(10, () => awaitLeader(b, peers));
    await steps.run(11, () => initialiseStore(b, identity, peers));
    const ready = await steps.run(12, () => verifyReadiness(b, identity, peers));
    shell.out(call.output === "json" ? `${JSON.stringify(ready)}\n` : readyText(ready));
    return exit.done;
  } finally {
    peers.close();
  }
}

interface Ready {
  readonly name: string;
  readonly id: string;
  readonly leader: string;
  readonly members: readonly { readonly name: string; readonly address: string | null }[];
}

const readyText = (ready: Ready): string =>
  `cluster ${ready.name} is ready: ${counted(ready.members.length, "member")}, leader ${ready.leader}\n` +
  `next: aether cluster status · aether settings set cpu_warning 0.8 · aether events --follow\n`;
