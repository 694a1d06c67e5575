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

/** A noun is a folder in core/src and one line in registry.ts. */
export interface Noun<R = unknown> {
  readonly name: string;
  readonly events: readonly EventType[];
  readonly commands: readonly CommandType[];
  /** Returns the next row, or undefined when the thing is gone. Pure, total over its events, throws on a foreign type. */
  readonly evolve: (row: R | undefined, event: DomainEvent, context: EventContext) => R | undefined;
}
