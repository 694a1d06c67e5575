/** The machines of a cluster as a whole, one row, whose id is the cluster's name. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import type { Area } from "./events.ts";

export interface Trouble {
  readonly area: Area;
  readonly tag: string;
  readonly code: string;
  readonly requestId: string;
  readonly message: string;
  /** Of the entry that recorded it. */
  readonly index: number;
  readonly at: number;
}

export interface Target {
  readonly node: string;
  readonly instance: string;
}

export interface Targets {
  readonly balancer: string;
  /** Sorted by node. */
  readonly targets: readonly Target[];
  /** Of the intent. */
  readonly index: number;
  readonly at: number;
  /** The receipt; null while there is none. */
  readonly done: { readonly added: number; readonly removed: number; readonly at: number } | null;
}

export interface FleetRow {
  /** At most one of each area. */
  readonly troubles: readonly Trouble[];
  readonly targets: Targets | null;
}

const empty: FleetRow = { troubles: [], targets: null };

/** The row of a world; empty where nothing ever happened. */
export function fleetOf(world: World): FleetRow {
  for (const { row } of world.all<FleetRow>("fleet")) return row;
  return empty;
}

/** Throws on an event that is not of this noun. */
export function evolveFleet(before: FleetRow | undefined, event: DomainEvent, { index, at }: EventContext): FleetRow {
  const row = before ?? empty;
  switch (event.type) {
    case "FleetTroubled": {
      const { area, tag, code, requestId, message } = event as unknown as Trouble;
      const others = row.troubles.filter((one) => one.area !== area);
      return { ...row, troubles: [...others, { area, tag, code, requestId, message, index, at }] };
    }
    case "FleetMended":
      return { ...row, troubles: row.troubles.filter((one) => one.area !== event["area"]) };
    case "TargetsWanted": {
      const { balancer, targets } = event as unknown as Targets;
      return { ...row, targets: { balancer, targets, index, at, done: null } };
    }
    case "TargetsReconciled": {
      if (row.targets === null) throw new Error(`${event.type} of ${event.id}, which has no targets`);
      const { added, removed } = event as unknown as { readonly added: number; readonly removed: number };
      return { ...row, targets: { ...row.targets, done: { added, removed, at } } };
    }
    default:
      throw new Error(`fleet has no event ${event.type}`);
  }
}
