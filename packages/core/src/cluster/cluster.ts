/** The noun `cluster`; the id is the cluster's name. */
import type { Noun } from "../kernel/noun.ts";
import { clusterCommands } from "./commands.ts";
import { clusterEvents } from "./events.ts";
import { clusterRowOf, observedOfCluster, restoreCluster } from "./restore.ts";
import { evolveCluster, type ClusterRow } from "./state.ts";

export const cluster: Noun<ClusterRow> = {
  name: "cluster",
  events: clusterEvents,
  commands: clusterCommands,
  evolve: evolveCluster,
  backup: {
    folder: "cluster",
    v: 1,
    upcast: {},
    wanted: ({ size }) => ({ size }),
    observed: observedOfCluster,
    row: clusterRowOf,
    restore: restoreCluster,
  },
};
