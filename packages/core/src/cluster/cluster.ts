/** The noun `cluster`; the id is the cluster's name. */
import type { Noun } from "../kernel/noun.ts";
import { clusterCommands } from "./commands.ts";
import { clusterEvents } from "./events.ts";
import { observedOfCluster, restoreCluster } from "./restore.ts";
import { evolveCluster, type ClusterRow } from "./state.ts";

export const cluster: Noun<ClusterRow> = {
  name: "cluster",
  events: clusterEvents,
  commands: clusterCommands,
  evolve: evolveCluster,
  backup: { folder: "cluster", wanted: ({ size }) => ({ size }), observed: observedOfCluster, restore: restoreCluster },
};
