/** The rows of the world that a daemon itself looks at. */
import { theCluster, type ClusterRow } from "@aether/core/cluster/state";
import type { World } from "@aether/core/kernel/world";
import { hasJoined, type NodeRow } from "@aether/core/node/state";
import type { PeerNotes } from "../member/peer-notes.ts";

/** Undefined until the cluster has been initialised. */
export const clusterRow = (world: World): ClusterRow | undefined => theCluster(world)?.row;

/** Every node of the cluster as notes show it, by member number. */
export function nodeRows(world: World): PeerNotes["nodes"] {
  return [...world.all<NodeRow>("node")]
    .map(({ row }) => {
      const { name, member, address, duty, left } = row;
      return { name, member, address, duty, left, joined: hasJoined(row) };
    })
    .toSorted((a, b) => a.member - b.member);
}

/** What the rows say of a member number that somebody claims under a node's name. */
export function standingOf(world: World, id: number, name: string): "welcome" | "removed" | "impostor" {
  for (const { row } of world.all<NodeRow>("node")) {
    const is = row.member === id;
    const was = row.retired.some((retired) => retired.member === id);
    if (!is && !was) continue;
    if (row.name !== name) return "impostor";
    return was || row.left ? "removed" : "welcome";
  }
  return "welcome";
}
