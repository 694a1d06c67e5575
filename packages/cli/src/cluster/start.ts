import { clusterLabels } from "@aether/cloud/labels";
import { awaitDaemons } from "../bootstrap/provision.ts";
import type { Journal } from "../bootstrap/journal.ts";
import { connectContext, contextOf, type Connection } from "../context/connection.ts";
import type { ClusterFolder } from "../context/home.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { follow } from "../shell/progress.ts";
import { printResult } from "../shell/result.ts";
import { waitFor } from "../shell/wait.ts";
import { instanceSpec, localProvider, requireJournal, withClusterLock } from "./local-cluster.ts";
import { provider } from "./provider-call.ts";
import { viewCluster } from "./members.ts";

const waitMs = 60_000;

/** `aether cluster start`: everything that should run runs, a quorum stands, and nobody lags behind where the leader was. */
export const run: Run = async (call, shell) => {
  const context = await contextOf(call, shell);
  const { journal, folder } = await requireJournal(shell.home, context.cluster.name);
  const progress = follow(shell);
  const say = (text: string): void => progress.say(text);
  const withinMs = call.duration("timeout") ?? waitMs;
  const started = await withClusterLock(folder, "cluster start", async () => {
    if (journal.cloud !== undefined)
      return (await import("../cloud/cloud-power.ts")).startInCloud({ shell, folder, journal, withinMs, say });
    const names = await startMissing(journal, folder, say);
    const local = await connectContext(context);
    try {
      await awaitDaemons(localProvider(journal.name, folder), local, journal.identity?.nodes ?? [], journal.name, withinMs, say);
    } finally {
      local.close();
    }
    return names;
  });
  // A start may have given machines in a cloud other addresses.
  const connection = await connectContext(await contextOf(call, shell));
  const index = await awaitCaughtUp(connection, shell.home, withinMs, say);
  connection.close();
  progress.end();
  const what = started.length === 0 ? "every member ran already" : `started ${started.join(", ")}`;
  printResult(call, shell, { name: journal.name, started, index }, `${what}; all members have applied index ${index}`);
  return exit.done;
};

/** The names that had to be started. An instance that is missing altogether is made again; it joins with an empty disk. */
async function startMissing(journal: Journal, folder: ClusterFolder, say: (text: string) => void): Promise<readonly string[]> {
  const { identity } = journal;
  if (identity === null || !journal.formed) {
    throw new Failure(
      exit.rejected,
      `${journal.name} has not been formed yet`,
      "finish it: aether cluster bootstrap --config FILE",
    );
  }
  const cloud = localProvider(journal.name, folder);
  const instances = await provider(cloud.compute.list(clusterLabels(journal.name)));
  const started: string[] = [];
  for (const node of identity.nodes) {
    const instance = instances.find((candidate) => candidate.name === node.name);
    if (instance?.state === "running") continue;
    say(`starting ${node.name}`);
    // Missing, or never finished being made or deleted: ensure does what is left to do.
    if (instance === undefined || instance.state === "pending" || instance.state === "deleting")
      await provider(cloud.compute.ensure(instanceSpec(journal, identity.clusterId, node, folder)));
    else await provider(cloud.compute.power(instance.id, "start"));
    started.push(node.name);
  }
  return started;
}

/** Resolves with the commit index that was there when a quorum stood, once every member has applied it. */
export async function awaitCaughtUp(
  connection: Connection,
  home: string,
  withinMs: number,
  say: (text: string) => void,
): Promise<number> {
  let goal: number | null = null;
  const hint = "aether cluster status shows who is behind";
  return waitFor({ what: "every member has caught up", withinMs, everyMs: 100, say, hint }, async () => {
    const view = await viewCluster(connection, home);
    if (!view.quorum.holds) return { waiting: `waiting for a leader, ${view.quorum.answering} of ${view.quorum.voters} answer` };
    goal ??= view.index;
    const reached = goal;
    const behind = view.members.filter((member) => (member.applied ?? -1) < reached);
    // A member that came back with an empty disk is a learner first; until it votes again it protects nobody.
    const joining = view.members.filter((member) => member.duty === "joining").map((member) => `${member.name} is joining`);
    if (behind.length + joining.length === 0) return { ready: reached };
    if (behind.length === 0) return { waiting: joining.join(", ") };
    return { waiting: behind.map(({ name, applied }) => `${name} at ${applied ?? "nothing"} of ${reached}`).join(", ") };
  });
}
