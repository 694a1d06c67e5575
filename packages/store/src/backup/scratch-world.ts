/** Rows made again beside the cluster's own: those of a backup, and what came after it. */
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import type { Stored, World } from "@aether/core/kernel/world";

/** What the rows began with is too little for what came after. */
export class TooLittle extends Error {
  override readonly name = "TooLittle";
}

export class ScratchWorld implements World {
  private readonly registry: Registry;
  private readonly rows: ReadonlyMap<string, Map<string, Stored>>;
  /** From the first entry on everything is known; from a backup on, nothing of nouns that are in none. */
  private readonly whole: boolean;

  constructor(registry: Registry, whole: boolean) {
    this.registry = registry;
    this.whole = whole;
    this.rows = new Map(registry.nouns.map(({ name }) => [name, new Map<string, Stored>()]));
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    return this.of(noun).get(id) as Stored<R> | undefined;
  }

  all<R = unknown>(noun: string): Iterable<Stored<R>> {
    return this.of(noun).values() as Iterable<Stored<R>>;
  }

  count(noun: string): number {
    return this.of(noun).size;
  }

  put(noun: string, stored: Stored): void {
    this.of(noun).set(stored.id, stored);
  }

  /** Evolves the rows by one entry, as the store does. Throws {@link TooLittle}. */
  apply(events: readonly DomainEvent[], context: EventContext): void {
    for (const event of events) {
      const noun = this.nounOf(event);
      this.evolve(noun, event, context);
      if (noun.expand === undefined) continue;
      const more = this.expanded(noun.expand(event, this)[Symbol.iterator](), event);
      for (const each of more) this.evolve(this.nounOf(each), each, context);
    }
  }

  private *expanded(events: Iterator<DomainEvent>, of: DomainEvent): Iterable<DomainEvent> {
    for (;;) {
      let next: IteratorResult<DomainEvent>;
      try {
        next = events.next();
      } catch (cause) {
        if (this.whole) throw cause;
        // the parts of a restore that was being staged when the backup was made are not in it
        throw new TooLittle(`${of.type} of ${of.id} stands for what is not in the backup`, { cause });
      }
      if (next.done === true) return;
      yield this.registry.upcast(next.value);
    }
  }

  private evolve(noun: Noun, event: DomainEvent, context: EventContext): void {
    const things = this.of(noun.name);
    const before = things.get(event.id);
    let row: unknown;
    try {
      row = noun.evolve(before?.row, event, context);
    } catch (cause) {
      if (this.whole) throw cause;
      if (noun.backup !== undefined) throw new TooLittle(`${event.type} of ${event.id} does not follow on the backup`, { cause });
      // a thing whose beginning is not known, of a noun that no backup and no restore looks at
      things.delete(event.id);
      return;
    }
    if (row === undefined) things.delete(event.id);
    else things.set(event.id, { id: event.id, version: (before?.version ?? 0) + 1, index: context.index, at: context.at, row });
  }

  private nounOf({ type }: DomainEvent): Noun {
    const noun = this.registry.nounOf(type);
    if (noun === undefined) throw new Error(`no noun has the event ${type}`);
    return noun;
  }

  private of(noun: string): Map<string, Stored> {
    const found = this.rows.get(noun);
    if (found === undefined) throw new Error(`there is no noun ${noun}`);
    return found;
  }
}
