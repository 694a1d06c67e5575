/** What a recovery writes into the log that it goes on with. Pure, and no command: on a cluster that runs nobody may ask for it. */
import { reject, type Decision } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import { InstanceGone } from "../instance/events.ts";
import type { InstanceRow } from "../instance/state.ts";
import { mayLive } from "../instance/transitions.ts";
import { NodeLeft, NodeRecovered, NodeShutdownStarted } from "../node/events.ts";
import type { NodeRow } from "../node/state.ts";
import { ClusterRecovered } from "./events.ts";
import { theCluster } from "./state.ts";

export interface Recovering {
  /** The member number whose disk is left. */
  readonly old: number;
  /** The new cluster's id, 32 hex digits. */
  readonly clusterId: string;
  /** Its only member, a number that {@link freshMember} gave. */
  readonly member: number;
  /** Where it will listen, "host:port"; null: where it did. */
  readonly address: string | null;
  /** Index of the last entry that is kept, and the audit chain's digest there, hex. */
  readonly upTo: number;
  readonly chain: string;
}

/** A number above all that this world has minted and all of `known`: those of a membership may be ahead of the rows. */
export function freshMember(world: World, known: readonly number[]): number {
  const rows = [...world.all<NodeRow>("node")].flatMap(({ row }) => [row.member, ...row.retired.map(({ member }) => member)]);
  return Math.max(theCluster(world)?.row.nextMember ?? 1, ...[...rows, ...known].map((member) => member + 1));
}

/**
 * The events that make a world that of the recovered cluster: another id, one member, every other node gone; all else stays as it is.
 * Refused: `not_found` (no cluster in this world, or no node that is this member), `conflict` (the id is not a new one).
 */
export function decideRecover(world: World, r: Recovering): Decision {
  const cluster = theCluster(world);
  if (cluster === undefined) {
    const message = `up to entry ${r.upTo} no cluster was initialised: there is nothing to recover`;
    return reject("not_found", message, "aether cluster bootstrap makes one");
  }
  const rows = [...world.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => a.member - b.member);
  const survivor = rows.find(({ member }) => member === r.old);
  if (survivor === undefined) {
    const message = `no node of cluster ${cluster.id} is member ${r.old} as of entry ${r.upTo}`;
    return reject(
      "not_found",
      message,
      "its number was replaced: its disk is not one of the cluster's any more; take another member's",
    );
  }
  const { clusterId: oldClusterId } = cluster.row;
  if (r.clusterId === oldClusterId)
    return reject("conflict", `${r.clusterId} is the id that is recovered from`, "draw a new one");
  const address = r.address ?? survivor.address;
  if (address === null)
    return reject("not_found", `${survivor.name} has never joined: it has no address`, "take another member's disk");
  const { clusterId, member, upTo, chain } = r;
  const gone = rows.filter((row) => row !== survivor && !row.left);
  return {
    events: [
      ClusterRecovered.of(cluster.id, { from: survivor.name, oldClusterId, clusterId, member, upTo, chain }),
      NodeRecovered.of(survivor.name, { old: r.old, member, address }),
      ...gone.flatMap((row) => takenOut(row, `lost for good: the cluster was recovered from ${survivor.name} at entry ${upTo}`)),
      ...releasedInstances(world, upTo),
    ],
  };
}

/** Machines of the old cluster are not touched: they may hold what is lost here. `aether cloud orphans` shows them. */
const releasedInstances = (world: World, upTo: number): readonly DomainEvent[] =>
  [...world.all<InstanceRow>("instance")]
    .filter(({ row }) => mayLive(row.state))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, row: { attempt } }) =>
      InstanceGone.of(id, { attempt, how: `let go: the cluster was recovered at entry ${upTo}`, fruitless: 0 }),
    );

function takenOut({ name, member, duty }: NodeRow, reason: string): readonly DomainEvent[] {
  const left = NodeLeft.of(name, { member });
  return duty === "shutting-down" ? [left] : [NodeShutdownStarted.of(name, { forced: true, reason }), left];
}
