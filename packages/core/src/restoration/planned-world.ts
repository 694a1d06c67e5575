/** A world as a plan would leave it, without its being applied: what a rule looks at before it lets many things happen together. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { Registry } from "../kernel/registry.ts";
import type { Stored, World } from "../kernel/world.ts";

/** A thing that a plan changes, of the version and index of the row that the plan was made of; both 0: it was not there. */
export interface ChangingThing {
  readonly noun: string;
  readonly id: string;
  readonly version: number;
  /** Versions begin anew with a thing that is made anew, indexes never do. */
  readonly index: number;
  /** It will not be there. */
  readonly absent?: true;
}

const nobody: EventContext = { index: 0, at: 0, actor: { name: "", role: "operator" } };

interface Change {
  /** Of the row that it was planned of. */
  readonly index: number;
  readonly events: DomainEvent[];
}

/**
 * Holds what happens to each thing, and makes a row of it when it is asked for: plans are large, and rules look at little. A thing that has
 * changed since it was planned is as it is: what was planned of it will not happen.
 */
export class PlannedWorld implements World {
  readonly #before: World;
  readonly #registry: Registry;
  /** What happens, by noun and id. */
  readonly #changes = new Map<string, Map<string, Change>>();
  /** How many things more there would be, by noun. */
  readonly #more = new Map<string, number>();

  constructor(registry: Registry, before: World) {
    this.#registry = registry;
    this.#before = before;
  }

  /** False when the thing is changed already. */
  begin({ noun, id, version, index, absent }: ChangingThing): boolean {
    let ofNoun = this.#changes.get(noun);
    if (ofNoun === undefined) this.#changes.set(noun, (ofNoun = new Map()));
    if (ofNoun.has(id)) return false;
    ofNoun.set(id, { index, events: [] });
    this.#more.set(noun, (this.#more.get(noun) ?? 0) + (absent === true ? 0 : 1) - (version === 0 ? 0 : 1));
    return true;
  }

  /** Of a thing that has begun to change; in the event's own version. Throws on any other. */
  add(event: DomainEvent): void {
    const noun = this.#registry.nounOf(event.type);
    const change = noun === undefined ? undefined : this.#changes.get(noun.name)?.get(event.id);
    if (change === undefined) throw new Error(`${event.type} of ${event.id} is about no thing of the plan`);
    change.events.push(event);
  }

  /** Ids of the noun's things that change. */
  changed(noun: string): ReadonlySet<string> {
    return new Set(this.#changes.get(noun)?.keys());
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    let stored = this.#before.get(noun, id);
    const change = this.#changes.get(noun)?.get(id);
    if ((stored?.index ?? 0) !== change?.index) return stored as Stored<R> | undefined;
    for (const event of change.events) stored = this.#after(stored, event);
    return stored as Stored<R> | undefined;
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    const changed = this.#changes.get(noun);
    for (const stored of this.#before.all<R>(noun)) if (changed?.has(stored.id) !== true) yield stored;
    for (const id of changed?.keys() ?? []) {
      const stored = this.get<R>(noun, id);
      if (stored !== undefined) yield stored;
    }
  }

  count(noun: string): number {
    return this.#before.count(noun) + (this.#more.get(noun) ?? 0);
  }

  #after(stored: Stored | undefined, raw: DomainEvent): Stored | undefined {
    const event = this.#registry.upcast(raw);
    const row = this.#registry.nounOf(event.type)?.evolve(stored?.row, event, nobody);
    const { version = 0, index = 0, at = 0 } = stored ?? {};
    return row === undefined ? undefined : { id: event.id, version: version + 1, index, at, row };
  }
}
