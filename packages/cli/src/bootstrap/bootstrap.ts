/** `aether cluster bootstrap`: twelve steps, and two more from a backup, each of which finds out what is already there before it acts. */
import { counted } from "../shell/counted.ts";
import { parsePlace, type BackupPlace } from "../backup/place.ts";
import type { Run } from "../shell/command.ts";
import type { Shell } from "../shell/shell.ts";
import { exit, Failure, usage } from "../shell/failure.ts";
import { clusterFolder, type ClusterFolder } from "../context/home.ts";
import { refuseHalfRecovered } from "../recover/recover-journal.ts";
import { withClusterLock } from "../cluster/local-cluster.ts";
import { providerFor } from "../cluster/provider-call.ts";
import { readClusterFile, resolveSecret, type ClusterPlan } from "./cluster-plan.ts";
import { discoverPeers, formConsensus, awaitLeader, initialiseStore } from "./form.ts";
import { restoreBackup, verifyBackup } from "./from-backup.ts";
import { createIdentity } from "./identity.ts";
import { makerFor } from "./maker.ts";
import { lookForCluster, preflight } from "./provision.ts";
import { Steps, type Bootstrap } from "./steps.ts";
import { verifyReadiness, type ReadyCluster } from "./verify.ts";

const localWaitMs = 60_000;
/** A machine takes a minute or two until it runs, and as long to install what it needs. */
const cloudWaitMs = 600_000;

/** Exit code 0 when the cluster is ready, whether it was made now, finished now or found. */
export const run: Run = async (call, shell) => {
  if (call.switched("dry-run")) return (await import("./dry-run.ts")).dryRun(call, shell);
  const from = call.text("from-backup");
  const asked: Asked = {
    file: call.text("config") ?? "",
    from: from === undefined ? null : parsePlace(from),
    waitMs: call.duration("timeout") ?? null,
    rollback: call.switched("rollback"),
  };
  const steps = new Steps(shell, asked.from !== null);
  const onInterrupt = (): void => {
    steps.interrupted();
    process.exit(exit.interrupted);
  };
  process.once("SIGINT", onInterrupt).once("SIGTERM", onInterrupt);
  try {
    const ready = await bootstrapCluster(asked, shell, steps);
    shell.out(call.output === "json" ? `${JSON.stringify(ready)}\n` : readyText(ready));
    return exit.done;
  } finally {
    process.off("SIGINT", onInterrupt).off("SIGTERM", onInterrupt);
  }
};

/** What a cluster is made of. */
export interface Asked {
  /** The path of the cluster's file. */
  readonly file: string;
  /** Null for an empty cluster. */
  readonly from: BackupPlace | null;
  /** The longest wait in one step; null: a minute, and ten in a cloud. */
  readonly waitMs: number | null;
  /** Deletes, when it fails, the machines that it made. */
  readonly rollback: boolean;
}

/** All steps. Throws a Failure that says what exists by then and how to go on; takes no signals. */
export async function bootstrapCluster(asked: Asked, shell: Shell, steps: Steps): Promise<ReadyCluster> {
  try {
    const plan = await steps.run("validate configuration", () => readClusterFile(asked.file, shell));
    if (asked.rollback && plan.cloud === null)
      throw usage("--rollback is for clouds", `remove a local cluster: aether cluster destroy ${plan.name}`);
    const folder = clusterFolder(shell.home, plan.name, plan.settings.dataDir);
    return await withClusterLock(folder, "cluster bootstrap", () => bootstrap(asked, shell, steps, plan, folder));
  } catch (error) {
    throw error instanceof Failure ? await steps.explain(error) : error;
  }
}

async function bootstrap(
  asked: Asked,
  shell: Shell,
  steps: Steps,
  plan: ClusterPlan,
  folder: ClusterFolder,
): Promise<ReadyCluster> {
  await refuseHalfRecovered(folder, plan.name);
  await steps.open(plan, folder);
  const secret = await steps.run("resolve secrets", () => resolveSecret(plan, folder, shell));
  const cloud = await steps.run("preflight", async () => preflight(plan, await providerFor(plan, folder, shell)));
  const maker = await makerFor(plan);
  const waitMs = asked.waitMs ?? (plan.cloud === null ? localWaitMs : cloudWaitMs);
  const b: Bootstrap = { shell, steps, plan, folder, provider: cloud, maker, secret, waitMs };
  try {
    return await build(b, asked);
  } catch (error) {
    if (asked.rollback) await maker.rollBack(b);
    throw error;
  }
}

async function build(b: Bootstrap, { from }: Asked): Promise<ReadyCluster> {
  const { steps, maker } = b;
  await steps.run("look for an existing cluster", () => lookForCluster(b, from));
  const backup = from === null ? null : await steps.run("verify the backup", () => verifyBackup(b, from));
  const decided = await steps.run("create identity", () => createIdentity(b, b.secret));
  await steps.run("provision instances", () => maker.provision(b, decided));
  const identity = await steps.run("start nodes", () => maker.start(b, decided));
  const peers = await steps.run("discover peers", () => discoverPeers(b, identity));
  try {
    await steps.run("form consensus", () => formConsensus(b, identity, peers));
    await steps.run("elect a leader and reach quorum", () => awaitLeader(b, peers));
    await steps.run("initialise the store", () => initialiseStore(b, identity, peers));
    if (backup !== null) await steps.run("restore the backup", () => restoreBackup(b, peers, backup));
    return await steps.run("verify readiness", () => verifyReadiness(b, identity, peers));
  } finally {
    peers.close();
  }
}

const readyText = (ready: ReadyCluster): string =>
  `cluster ${ready.name} is ready: ${counted(ready.members.length, "member")}, leader ${ready.leader}\n` +
  `next: aether cluster status · aether settings set cpu_warning 0.8 · aether events --follow\n`;
