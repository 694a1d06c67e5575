/** A world as events would leave it, without their being applied: what a rule looks at before it lets them happen together. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { Registry } from "../kernel/registry.ts";
import type { Stored, World } from "../kernel/world.ts";

const nobody: EventContext = { index: 0, at: 0, actor: { name: "", role: "operator" } };

export class PlannedWorld implements World {
  readonly #before: World;
  readonly #registry: Registry;
  /** By noun and id; undefined for what would be gone. */
  readonly #changed = new Map<string, Map<string, Stored | undefined>>();
  /** How many things more there would be, by noun. */
  readonly #more = new Map<string, number>();

  constructor(registry: Registry, before: World) {
    this.#registry = registry;
    this.#before = before;
  }

  /** The event as it would change its thing. Throws where the store would. */
  add(raw: DomainEvent): void {
    const event = this.#registry.upcast(raw);
    const noun = this.#registry.nounOf(event.type);
    if (noun === undefined) throw new Error(`no noun has the event ${event.type}`);
    const stored = this.get(noun.name, event.id);
    const row = noun.evolve(stored?.row, event, nobody);
    const { version = 0, index = 0, at = 0 } = stored ?? {};
    const after = row === undefined ? undefined : { id: event.id, version: version + 1, index, at, row };
    const more = (after === undefined ? 0 : 1) - (stored === undefined ? 0 : 1);
    this.#more.set(noun.name, (this.#more.get(noun.name) ?? 0) + more);
    const ofNoun = this.#changed.get(noun.name);
    if (ofNoun === undefined) this.#changed.set(noun.name, new Map([[event.id, after]]));
    else ofNoun.set(event.id, after);
  }

  /** The noun's things that would change, by id. */
  changed(noun: string): ReadonlyMap<string, Stored | undefined> {
    return this.#changed.get(noun) ?? new Map<string, Stored | undefined>();
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    const changed = this.#changed.get(noun);
    return changed?.has(id) === true ? (changed.get(id) as Stored<R> | undefined) : this.#before.get<R>(noun, id);
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    const changed = this.changed(noun);
    for (const stored of this.#before.all<R>(noun)) if (!changed.has(stored.id)) yield stored;
    for (const stored of changed.values()) if (stored !== undefined) yield stored as Stored<R>;
  }

  count(noun: string): number {
    return this.#before.count(noun) + (this.#more.get(noun) ?? 0);
  }
}
