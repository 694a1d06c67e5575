/** The cluster itself: one row, whose id is its name. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { Provider } from "../kernel/grammar.ts";
import type { Stored, World } from "../kernel/world.ts";

export interface Refusal {
  /** What was refused and why, e.g. "connect: no certificate". */
  readonly what: string;
  /** "role:name", or "" when there was no certificate to believe. */
  readonly identity: string;
  readonly address: string;
  readonly count: number;
}

export interface Checkpoint {
  /** Index of the last entry that it covers. */
  readonly upTo: number;
  /** The audit chain's digest at `upTo`, hex. */
  readonly chain: string;
  /** The digest of the world at `upTo`, hex. */
  readonly state: string;
  readonly signer: string;
  /** Index of the entry that recorded it. */
  readonly index: number;
}

export interface Leader {
  readonly node: string;
  readonly member: number;
  readonly term: number;
}

/** The cluster that this one was before a quorum of it was lost for good. */
export interface Recovery {
  /** Its id. */
  readonly clusterId: string;
  /** The node whose disk was left. */
  readonly node: string;
  /** Index of the last entry that was kept, and the audit chain's digest there, hex. */
  readonly upTo: number;
  readonly chain: string;
}

export interface ClusterRow {
  readonly clusterId: string;
  readonly name: string;
  /** Members that the operator wants. */
  readonly size: number;
  readonly provider: Provider;
  /** Event types of a higher level are not written yet. */
  readonly featureLevel: number;
  /** The next member number to mint. Numbers only grow. */
  readonly nextMember: number;
  readonly state: "forming" | "ready";
  readonly artifacts: { readonly root: string } | null;
  /** The cluster file's content, with references in place of secrets. */
  readonly configuration: unknown;
  /** Refused connections and requests: all that were counted, and the newest kind. Each is in the history. */
  readonly refusals: { readonly total: number; readonly last: Refusal | null };
  readonly checkpoint: Checkpoint | null;
  /** Who led when last recorded. */
  readonly leader: Leader | null;
  /** Oldest first, at most {@link recoveriesMax}; not there in a cluster that was never recovered. */
  readonly recoveries?: readonly Recovery[];
}

/** Older ones stay in the history. */
export const recoveriesMax = 16;

/** Whether the entry `index` of a cluster of that id is in this one's log because it went on from there, after a recovery. */
export const keptEntryOf = ({ recoveries = [] }: ClusterRow, clusterId: string, index: number): boolean =>
  recoveries.some((recovery) => recovery.clusterId === clusterId && index <= recovery.upTo);

/** The one cluster row of a world, once there is one. */
export function theCluster(world: World): Stored<ClusterRow> | undefined {
  for (const stored of world.all<ClusterRow>("cluster")) return stored;
  return undefined;
}

/** Throws on an event that cannot happen to the row: decide must not have made it. */
export function evolveCluster(row: ClusterRow | undefined, event: DomainEvent, context: EventContext): ClusterRow {
  if (event.type === "ClusterInitialised") {
    if (row !== undefined) throw new Error(`cluster ${event.id} is initialised twice`);
    return initialised(event);
  }
  if (row === undefined) throw new Error(`${event.type} of cluster ${event.id}, which does not exist`);
  switch (event.type) {
    case "ArtifactRootCreated":
      return { ...row, artifacts: { root: event["root"] as string } };
    case "ClusterReady":
      return { ...row, state: "ready" };
    case "ClusterScaled":
      return { ...row, size: event["size"] as number, nextMember: event["nextMember"] as number };
    case "MemberMinted":
      return { ...row, nextMember: (event["member"] as number) + 1 };
    case "AccessRefused": {
      const { what, identity, address, count } = event as unknown as Refusal;
      return { ...row, refusals: { total: row.refusals.total + count, last: { what, identity, address, count } } };
    }
    case "CheckpointRecorded": {
      const { upTo, chain, state, signer } = event as unknown as Checkpoint;
      return { ...row, checkpoint: { upTo, chain, state, signer, index: context.index } };
    }
    case "LeaderElected": {
      const { node, member, term } = event as unknown as Leader;
      return { ...row, leader: { node, member, term } };
    }
    case "ClusterRecovered":
      return recovered(row, event);
    default:
      throw new Error(`cluster has no event ${event.type}`);
  }
}

const initialised = (event: DomainEvent): ClusterRow => ({
  clusterId: event["clusterId"] as string,
  name: event.id,
  size: event["size"] as number,
  provider: event["provider"] as Provider,
  featureLevel: event["featureLevel"] as number,
  nextMember: event["nextMember"] as number,
  state: "forming",
  artifacts: null,
  configuration: event["configuration"],
  refusals: { total: 0, last: null },
  checkpoint: null,
  leader: null,
});

/** Nobody leads it yet, it has the one member that it goes on with, and what else was wanted of it stays. */
function recovered(row: ClusterRow, event: DomainEvent): ClusterRow {
  const { from, oldClusterId, clusterId, member, upTo, chain } = event as unknown as Record<"upTo" | "member", number> &
    Record<"from" | "oldClusterId" | "clusterId" | "chain", string>;
  const recovery = { clusterId: oldClusterId, node: from, upTo, chain };
  const recoveries = [...(row.recoveries ?? []), recovery].slice(-recoveriesMax);
  return { ...row, clusterId, size: 1, nextMember: member + 1, state: "ready", leader: null, recoveries };
}
