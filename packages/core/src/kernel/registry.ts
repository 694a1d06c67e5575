import type { CommandType } from "./command.ts";
import type { DomainEvent } from "./event.ts";
import type { EventType, Noun } from "./noun.ts";

/** All nouns, indexed by what the store and the server look them up by. */
export interface Registry {
  readonly nouns: readonly Noun[];
  noun(name: string): Noun | undefined;
  nounOf(eventType: string): Noun | undefined;
  event(type: string): EventType | undefined;
  command(type: string): CommandType | undefined;
  /** Brings an event of any older version to the current one. Throws on an unknown type or a version newer than known. */
  upcast(event: DomainEvent): DomainEvent;
}

/** Throws when two nouns claim one name, event type or command type. */
export function makeRegistry(nouns: readonly Noun[]): Registry {
  const byName = new Map<string, Noun>();
  const byEvent = new Map<string, Noun>();
  const events = new Map<string, EventType>();
  const commands = new Map<string, CommandType>();
  for (const noun of nouns) {
    claim(byName, noun.name, noun, "noun");
    for (const event of noun.events) {
      claim(events, event.type, event, "event type");
      byEvent.set(event.type, noun);
    }
    for (const command of noun.commands) claim(commands, command.type, command, "command type");
  }
  return {
    nouns,
    noun: (name) => byName.get(name),
    nounOf: (type) => byEvent.get(type),
    event: (type) => events.get(type),
    command: (type) => commands.get(type),
    upcast: (event) => {
      const known = events.get(event.type);
      if (known === undefined) throw new Error(`unknown event type ${event.type}`);
      if (event.v > known.v) throw new Error(`${event.type} v${event.v} is newer than v${known.v}, the newest known here`);
      let current = event;
      while (current.v < known.v) {
        const step = known.upcast[current.v];
        if (step === undefined) throw new Error(`no upcast from ${event.type} v${current.v}`);
        current = step(current);
      }
      return current;
    },
  };
}

function claim<T>(map: Map<string, T>, key: string, value: T, what: string): void {
  if (map.has(key)) throw new Error(`${what} ${key} is claimed twice`);
  map.set(key, value);
}
