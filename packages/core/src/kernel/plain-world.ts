/** A World over Maps with nothing behind it: for tests of rules, controllers and whatever reads rows. */
import type { DomainEvent, EventContext } from "./event.ts";
import type { Noun } from "./noun.ts";
import type { Registry } from "./registry.ts";
import type { Stored, World } from "./world.ts";

export interface PlainWorld extends World {
  /** Evolves the rows by one entry's events and what these stand for, as the store would. Throws on an event that no noun has. */
  apply(events: readonly DomainEvent[], context?: Partial<EventContext>): void;
  /** Of the last entry applied. */
  readonly index: number;
}

const nobody = { name: "test", role: "operator" } as const;

/** Entries are numbered from 1 and one second apart, unless the context says otherwise. */
export function makePlainWorld(registry: Registry): PlainWorld {
  const rows = new Map<string, Map<string, Stored>>(registry.nouns.map((noun) => [noun.name, new Map()]));
  const rowsOf = (noun: string): Map<string, Stored> => {
    const found = rows.get(noun);
    if (found === undefined) throw new Error(`there is no noun ${noun}`);
    return found;
  };
  let index = 0;
  const nounOf = ({ type }: DomainEvent): Noun => {
    const noun = registry.nounOf(type);
    if (noun === undefined) throw new Error(`no noun has the event ${type}`);
    return noun;
  };
  const world: World = {
    get: <R>(noun: string, id: string) => rowsOf(noun).get(id) as Stored<R> | undefined,
    all: <R>(noun: string) => rowsOf(noun).values() as Iterable<Stored<R>>,
    count: (noun) => rowsOf(noun).size,
  };
  const applyOne = (event: DomainEvent, context: EventContext): void => {
    const noun = nounOf(event);
    const things = rowsOf(noun.name);
    const before = things.get(event.id);
    const row = noun.evolve(before?.row, event, context);
    if (row === undefined) things.delete(event.id);
    else things.set(event.id, { id: event.id, version: (before?.version ?? 0) + 1, index: context.index, at: context.at, row });
  };
  return {
    ...world,
    get index() {
      return index;
    },
    apply: (events, context = {}) => {
      index = context.index ?? index + 1;
      const full = { index, at: context.at ?? index * 1000, actor: context.actor ?? nobody };
      for (const raw of events) {
        const event = registry.upcast(raw);
        applyOne(event, full);
        for (const more of nounOf(event).expand?.(event, world) ?? []) applyOne(registry.upcast(more), full);
      }
    },
  };
}
