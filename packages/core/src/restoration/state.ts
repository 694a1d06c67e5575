/**
 * A restoration: a plan of changes that is brought into the log part by part, and then made to count by one entry. What is staged is
 * in rows, so that every member has it, and has no effect.
 */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { ChangingThing } from "./planned-world.ts";

/** Where the restored state comes from: the commit of a backup, if it is one, and the moment that it is of. */
export interface RestoreSource {
  readonly commit: string | null;
  /** Index of the log that the restored state is of; of the cluster that was backed up. */
  readonly index: number;
  /** Unix milliseconds. */
  readonly at: number;
}

export interface RestorationRow {
  readonly state: "staging" | "applied" | "dropped";
  readonly source: RestoreSource;
  /** Things that change. */
  readonly things: number;
  /** Parts that it is brought in, numbered from 1. */
  readonly parts: number;
  /** Numbers of the parts whose rows are there, in the order they came; none once it has ended. */
  readonly staged: readonly number[];
  /** Indexes of the entries that staged the parts, by their numbers; empty unless it is applied. */
  readonly entries: readonly number[];
  /** Index of the entry from which on it counts. */
  readonly appliedAt: number | null;
}

/** Id "<restoration>/<number>". */
export interface RestorationPartRow {
  /** They change only if they are still as they were. */
  readonly things: readonly ChangingThing[];
  /** What happens to them, in this order, once the restoration is applied. In the versions of the day they were staged. */
  readonly events: readonly DomainEvent[];
}

export const partId = (restoration: string, part: number): string => `${restoration}/${part}`;

/** The restoration and the number of a part. */
export function partOf(id: string): { readonly restoration: string; readonly part: number } {
  const cut = id.lastIndexOf("/");
  return { restoration: id.slice(0, cut), part: Number(id.slice(cut + 1)) };
}

/** Throws on an event that cannot happen to the row: decide must not have made it. */
export function evolveRestoration(
  row: RestorationRow | undefined,
  event: DomainEvent,
  context: EventContext,
): RestorationRow | undefined {
  if (event.type === "RestoreBegun") {
    if (row !== undefined) throw new Error(`restoration ${event.id} begins twice`);
    const { source, things, parts } = event as unknown as RestorationRow;
    return { state: "staging", source, things, parts, staged: [], entries: [], appliedAt: null };
  }
  if (row === undefined) throw new Error(`${event.type} of restoration ${event.id}, which does not exist`);
  if (event.type === "RestoreForgotten") return undefined;
  if (row.state !== "staging") throw new Error(`${event.type} of restoration ${event.id}, which is ${row.state}`);
  switch (event.type) {
    case "RestorePartAdded":
      return { ...row, staged: [...row.staged, event["part"] as number] };
    case "RestoreApplied":
      return { ...row, state: "applied", staged: [], entries: event["entries"] as number[], appliedAt: context.index };
    case "RestoreDropped":
      return { ...row, state: "dropped", staged: [] };
    default:
      throw new Error(`restoration has no event ${event.type}`);
  }
}

/** Throws as {@link evolveRestoration} does. */
export function evolveRestorationPart(row: RestorationPartRow | undefined, event: DomainEvent): RestorationPartRow | undefined {
  if ((row === undefined) !== (event.type === "RestorePartStaged"))
    throw new Error(`${event.type} of part ${event.id}, which is ${row === undefined ? "not there" : "there"}`);
  if (event.type === "RestorePartDropped") return undefined;
  if (event.type !== "RestorePartStaged") throw new Error(`restoration-part has no event ${event.type}`);
  const { things, events } = event as unknown as RestorationPartRow;
  return { things, events };
}
