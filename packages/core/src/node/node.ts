/** The noun `node`; ids are names. */
import type { Noun } from "../kernel/noun.ts";
import { nodeCommands } from "./commands.ts";
import { nodeEvents } from "./events.ts";
import { checkNodes, nodeRowOf, observedOfNode, restoreNode, wantedOfNode } from "./restore.ts";
import { evolveNode, type NodeRow } from "./state.ts";

export const node: Noun<NodeRow> = {
  name: "node",
  events: nodeEvents,
  commands: nodeCommands,
  evolve: evolveNode,
  backup: {
    folder: "nodes",
    v: 1,
    upcast: {},
    wanted: wantedOfNode,
    observed: observedOfNode,
    row: nodeRowOf,
    restore: restoreNode,
    check: checkNodes,
  },
};
