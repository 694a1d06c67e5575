/** `aether cluster start` in a cloud: machines that are off are switched on. One that is gone is the leader's to replace. */
import { minutes } from "effect/Duration";
import { dialOf, type Journal } from "../bootstrap/journal.ts";
import { awaitDaemons } from "../bootstrap/provision.ts";
import { ownLabels, provider, providerFor } from "../cluster/provider-call.ts";
import { connectContext } from "../context/connection.ts";
import { chooseContext, readContexts } from "../context/contexts.ts";
import { exit, Failure } from "../shell/failure.ts";
import { refreshAddresses, type Managed } from "./refresh.ts";
import { sideBySide } from "./side-by-side.ts";

const runWithin = minutes(10);

/**
 * Resolves with the names of those it started, when every daemon answers. A machine may have another address than before; journal and
 * context have it then.
 */
export async function startInCloud(
  m: Managed & { readonly journal: Journal; readonly withinMs: number; readonly say: (text: string) => void },
): Promise<readonly string[]> {
  const { journal, say } = m;
  if (journal.identity === null || !journal.formed) {
    throw new Failure(
      exit.rejected,
      `${journal.name} has not been formed yet`,
      "finish it: aether cluster bootstrap --config FILE",
    );
  }
  const cloud = await providerFor(journal, m.folder, m.shell);
  const instances = await provider(cloud.compute.list(ownLabels(journal)));
  await sideBySide(instances, async (instance) => {
    if (instance.state === "running") return;
    say(`starting ${instance.name}`);
    if (instance.state === "stopped") await provider(cloud.compute.power(instance.id, "start"));
    await provider(cloud.compute.awaitState(instance.id, ["running"], runWithin));
  });
  const now = await refreshAddresses(m, journal);
  const connection = await connectContext(chooseContext(await readContexts(m.shell.home), journal.name, undefined));
  try {
    const nodes = (now.identity?.nodes ?? []).map((node) => ({ ...node, address: dialOf(node) }));
    const there = nodes.filter(({ name }) => instances.some((instance) => instance.name === name));
    await awaitDaemons(cloud, connection, there, journal.name, m.withinMs, say);
    return instances.filter(({ state }) => state !== "running").map(({ name }) => name);
  } finally {
    connection.close();
  }
}
