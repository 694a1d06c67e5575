/** What only the leader does, every so often, with the product's own rules and hands. */
import { makeLeaderDuties } from "@aether/node/controllers/leader-duties";
import { makeLog } from "@aether/node/daemon/log";
import { clusterId, clusterName } from "./names.ts";
import type { Running } from "./node.ts";
import type { StartParts } from "./start.ts";

const lookMs = 200;

export function startDuties({ cluster, node, process, clock }: StartParts, running: Running): void {
  const { world } = cluster;
  const { store, driver, endpoint } = running;
  const line = (text: string): void => {
    if (text.includes(" membership ")) world.tell(node.name, text.slice(text.indexOf(" membership ") + 1));
  };
  const duties = makeLeaderDuties({
    cluster: { id: clusterId, name: clusterName },
    node: node.name,
    member: { store, driver },
    // Real signatures hold chance of their own; nothing here reads them.
    signer: { certificate: "simulated", sign: (statement) => `signed ${statement.length} bytes` },
    checkpoints: { entries: 40, ms: 5_000 },
    log: makeLog(line, () => new Date(0)),
    now: () => clock.now(),
    heardAgoMs: (id) => {
      const at = endpoint.heardAt.get(id);
      return at === undefined ? null : world.now - at;
    },
  });
  let busy = false;
  const look = (): void => {
    world.after(lookMs, process, "look", look);
    duties.observeRole();
    if (busy) return;
    busy = true;
    duties
      .look()
      .catch((error: unknown) => cluster.failed(error))
      .finally(() => (busy = false));
  };
  look();
}
