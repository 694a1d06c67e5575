import type { CommandType } from "./command.ts";
import type { DomainEvent, EventContext } from "./event.ts";

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
  /** JSON; the same for rows that want the same. */
  readonly wanted: (row: R) => unknown;
  /** JSON for people to read; nothing reads it back. */
  readonly observed?: (row: R) => unknown;
  /**
   * The events that bring the thing from its row (undefined: it is not there) to what is wanted (undefined: it should not be there), or why
   * it stays as it is. `wanted` comes from outside and may be anything: what is no wanted state of this noun is a reason to leave it.
   */
  readonly restore: (id: string, now: R | undefined, wanted: unknown) => readonly DomainEvent[] | string;
}

/** A noun is a folder in core/src and one line in registry.ts. */
export interface Noun<R = unknown> {
  readonly name: string;
  readonly events: readonly EventType[];
  readonly commands: readonly CommandType[];
  /** Returns the next row, or undefined when the thing is gone. Pure, total over its events, throws on a foreign type. */
  readonly evolve: (row: R | undefined, event: DomainEvent, context: EventContext) => R | undefined;
  /** Without it the noun's things are in no backup. */
  readonly backup?: BackupFacet<R>;
}
