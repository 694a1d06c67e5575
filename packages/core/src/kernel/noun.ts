import type { CommandType, Rejection } from "./command.ts";
import type { DomainEvent, EventContext } from "./event.ts";
import type { World } from "./world.ts";

/**
 * One event type in its current version. `upcast[n]` turns a payload of version n into version n+1; every version
 * ever written stays decodable, and its golden bytes stay in fixtures/events/.
 */
export interface EventType {
  readonly type: string;
  readonly v: number;
  /** Feature level from which it may be written. */
  readonly level: number;
  readonly upcast: Readonly<Record<number, (old: DomainEvent) => DomainEvent>>;
  /** Parses a current-version event read from outside (an import, a test); the log's own bytes are trusted. */
  readonly parse: (input: unknown) => DomainEvent;
}

/** How a noun's things go into a backup and come back. What is wanted of a thing is restored; what was seen of it is not. */
export interface BackupFacet<R = unknown> {
  /** Where its files are, e.g. "settings". */
  readonly folder: string;
  /** Version of the form that {@link wanted} has, from 1. */
  readonly v: number;
  /** `upcast[n]` turns what was wanted in form n into form n+1: backups of every earlier form can be restored. */
  readonly upcast: Readonly<Record<number, (old: unknown) => unknown>>;
  /** JSON; the same for rows that want the same. */
  readonly wanted: (row: R) => unknown;
  /** All else of the row, as JSON. None for a noun whose rows hold nothing but what is wanted. It is never restored. */
  readonly observed?: (row: R) => unknown;
  /** The whole row again, of what {@link wanted} and {@link observed} gave (undefined: there is no observed), in the current form. */
  readonly row: (wanted: unknown, observed: unknown) => R;
  /**
   * The events that bring the thing from its row (undefined: it is not there) to what is wanted (undefined: it should not be there), or why
   * it stays as it is. `wanted` comes from outside and may be anything: what is no wanted state of this noun is a reason to leave it.
   */
  readonly restore: (id: string, now: R | undefined, wanted: unknown) => readonly DomainEvent[] | string;
  /** Why the noun's rules do not allow what a restore would leave when all of it is done; null when they do. `changed`: ids of this noun. */
  readonly check?: (before: World, after: World, changed: ReadonlySet<string>) => Rejection | null;
}

/** A noun is a folder in core/src and one line in registry.ts. */
export interface Noun<R = unknown> {
  readonly name: string;
  readonly events: readonly EventType[];
  readonly commands: readonly CommandType[];
  /** Returns the next row, or undefined when the thing is gone. Pure, total over its events, throws on a foreign type. */
  readonly evolve: (row: R | undefined, event: DomainEvent, context: EventContext) => R | undefined;
  /**
   * What an event of this noun stands for: facts that the store evolves after it, in this order and within the same entry, though the
   * entry does not hold them. Nothing for an event that stands for itself alone. They come one at a time, each made while the world
   * is as those before have left it, and stand for nothing more themselves. The same on every member: it reads rows and the event.
   */
  readonly expand?: (event: DomainEvent, world: World) => Iterable<DomainEvent>;
  /** Without it the noun's things are in no backup. */
  readonly backup?: BackupFacet<R>;
}
