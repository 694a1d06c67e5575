/** Which disks the simulator may touch: what is asked of a cluster must be possible for it. */
import type { Cluster } from "./cluster.ts";
import type { Running, SimNode } from "./node.ts";

/**
 * Is everybody's disk known as it is? Everybody runs, no change is under way, and no older image of a disk waits to be found out:
 * those who know of it must stay as they are.
 */
export function isSettled({ nodes, history }: Cluster): boolean {
  const hidden = ({ opened, running }: SimNode): boolean => opened === null || (running !== null && hasUnwritten(running));
  const blind = nodes.some((one) => one.stale || (one.member !== null && hidden(one)));
  return !blind && history.newestChange <= history.top;
}

/**
 * A disk may be lost when every membership keeps a quorum of sound ones without those that were told to leave; and a learner is
 * spared, for it may be promoted before anybody knows.
 */
export function spares(cluster: Cluster, node: SimNode): boolean {
  if (!isSettled(cluster)) return false;
  const votes = cluster.memberships().every(({ voters }) => node.member !== null && voters.includes(node.member));
  return votes && cluster.sparesQuorum(new Set([node, ...cluster.nodes.filter(({ leaving }) => leaving)]));
}

const hasUnwritten = ({ driver, storage }: Running): boolean => driver.status().last.index > storage.view.last().index;
