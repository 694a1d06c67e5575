/** The rules of restorations. Facts are made here, on the leader, by each noun's facet: nobody can stage an event that a facet would not make. */
import { theCluster } from "../cluster/state.ts";
import { reject, type Command, type Decision, type Rejection } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import { jsonEqual } from "../kernel/json.ts";
import type { Registry } from "../kernel/registry.ts";
import type { Stored, World } from "../kernel/world.ts";
import * as events from "./events.ts";
import type { Wish } from "./wish.ts";
import { PlannedWorld, type ChangingThing } from "./planned-world.ts";
import { partId, partOf, type RestorationPartRow, type RestorationRow, type RestoreSource } from "./state.ts";

/** Rows of restorations that are kept, the newest. */
export const restorationsMax = 20;

type Begin = Command & { readonly source: RestoreSource; readonly things: number; readonly parts: number };
type Stage = Command & { readonly things: readonly Wish[] };

const nothing: Decision = { events: [] };

/** One at a time: a restoration that begins takes the place of one that was not applied. */
export function decideBegin(world: World, { id, source, things, parts }: Begin): Decision {
  const known = world.get<RestorationRow>("restoration", id)?.row;
  if (known !== undefined) {
    const same = known.state === "staging" && known.things === things && known.parts === parts;
    if (same && jsonEqual(known.source, source)) return nothing;
    return reject("conflict", `there is a restoration ${id} already, which is ${known.state}`, "begin one of another name");
  }
  const rows = [...world.all<RestorationRow>("restoration")].toSorted((a, b) => b.index - a.index || (a.id < b.id ? -1 : 1));
  const dropped = rows.filter(({ row }) => row.state === "staging").flatMap(dropEvents);
  const forgotten = rows.slice(restorationsMax - 1).map((old) => events.RestoreForgotten.of(old.id, {}));
  return { events: [...dropped, ...forgotten, events.RestoreBegun.of(id, { source, things, parts })] };
}

const dropEvents = ({ id, row }: Stored<RestorationRow>): DomainEvent[] => [
  ...row.staged.map((part) => events.RestorePartDropped.of(partId(id, part), {})),
  events.RestoreDropped.of(id, {}),
];

export function decideDrop(world: World, { id }: Command): Decision {
  const stored = need(world, id);
  if ("rejected" in stored) return stored;
  if (stored.row.state === "applied")
    return reject("conflict", `restoration ${id} is applied`, "to undo it, restore the moment before it");
  return stored.row.state === "dropped" ? nothing : { events: dropEvents(stored) };
}

export function decideStage(registry: Registry, world: World, command: Stage): Decision {
  const { restoration, part } = partOf(command.id);
  const stored = staging(world, restoration);
  if ("rejected" in stored) return stored;
  const { parts, staged } = stored.row;
  if (part > parts)
    return reject("invalid", `restoration ${restoration} has ${parts} parts, and no part ${part}`, "begin another");
  if (staged.includes(part)) {
    const there = world.get<RestorationPartRow>("restoration-part", command.id)?.row.things ?? [];
    const named = ({ noun, id, version }: Pick<ChangingThing, "noun" | "id" | "version">): unknown => ({ noun, id, version });
    const same = jsonEqual(there.map(named), command.things.map(named));
    if (same) return nothing;
    return reject("conflict", `part ${part} of restoration ${restoration} is there, and is another one`, "begin another");
  }
  const things: ChangingThing[] = [];
  const facts: DomainEvent[] = [];
  for (const wish of command.things) {
    const made = factsOf(registry, world, wish);
    if ("rejected" in made) return made;
    facts.push(...made.facts);
    things.push(made.thing);
  }
  const tooNew = beyondLevel(registry, world, facts);
  if (tooNew !== null) return tooNew;
  const partStaged = events.RestorePartStaged.of(command.id, { things, events: facts });
  return { events: [partStaged, events.RestorePartAdded.of(restoration, { part })] };
}

function factsOf(
  registry: Registry,
  world: World,
  { noun, id, version, ...wish }: Wish,
): Rejection | { readonly thing: ChangingThing; readonly facts: readonly DomainEvent[] } {
  const facet = registry.noun(noun)?.backup;
  if (facet === undefined) return reject("invalid", `a ${noun} is nothing that is restored`, "leave it out");
  const isAbsent = wish.absent === true;
  if (isAbsent === Object.hasOwn(wish, "wanted"))
    return reject("invalid", `${noun} ${id} is either wanted or absent`, "give one of both");
  const stored = world.get(noun, id);
  const thing = { noun, id, version, index: wish.index ?? stored?.index ?? 0, ...(isAbsent && { absent: true as const }) };
  const changed = staleness(thing, stored);
  if (changed !== null) return changed;
  const facts = facet.restore(id, stored?.row, isAbsent ? undefined : wish.wanted);
  if (typeof facts === "string") return reject("conflict", `${noun} ${id} cannot be restored: ${facts}`, "plan again without it");
  return { thing, facts };
}

/** As for events that are in an entry: a member of an older build could not read them. */
function beyondLevel(registry: Registry, world: World, facts: readonly DomainEvent[]): Rejection | null {
  const reached = theCluster(world)?.row.featureLevel ?? 1;
  const beyond = facts.find(({ type }) => (registry.event(type)?.level ?? Number.POSITIVE_INFINITY) > reached);
  if (beyond === undefined) return null;
  const message = `${beyond.type} needs a feature level above ${reached}, which the cluster is at`;
  return reject("feature_level", message, "raise the cluster's feature level first");
}

function staleness({ noun, id, version, index }: ChangingThing, stored: Stored | undefined): Rejection | null {
  const now = stored?.version ?? 0;
  if (now === version && (stored?.index ?? 0) === index) return null;
  const is = now === 0 ? "does not exist" : now === version ? "was made anew" : `is at version ${now}`;
  return reject("stale", `${noun} ${id} ${is}, and the plan was made of version ${version}`, "plan the restore again");
}

/** Answer `{things, appliedAt}`, the index null when it is applied by this very entry. */
export function decideApply(registry: Registry, world: World, { id }: Command): Decision {
  const stored = need(world, id);
  if ("rejected" in stored) return stored;
  const { state, parts, staged, things, appliedAt } = stored.row;
  if (state === "applied") return { events: [], answer: { things, appliedAt } };
  if (state === "dropped") return wasDropped(id);
  if (staged.length < parts)
    return reject("conflict", `${staged.length} of the ${parts} parts of restoration ${id} are there`, "stage the others first");
  const after = new PlannedWorld(registry, world);
  const entries: number[] = [];
  let count = 0;
  let seen = 0;
  for (let part = 1; part <= parts; part++) {
    const there = world.get<RestorationPartRow>("restoration-part", partId(id, part));
    if (there === undefined) throw new Error(`restoration ${id} counts its part ${part}, which is not there`);
    for (const thing of there.row.things) {
      const refused = after.begin(thing) ? staleness(thing, world.get(thing.noun, thing.id)) : twice(thing);
      if (refused !== null) return refused;
      seen++;
    }
    for (const event of there.row.events) after.add(event);
    count += there.row.events.length;
    entries.push(there.index);
  }
  if (seen !== things) return reject("conflict", `restoration ${id} says ${things} things and brings ${seen}`, "begin another");
  const refused = checkAll(registry, world, after);
  return (
    refused ?? { events: [events.RestoreApplied.of(id, { things, events: count, entries })], answer: { things, appliedAt: null } }
  );
}

/** Two plans for one thing would each be made of what it is now. */
const twice = ({ noun, id }: ChangingThing): Rejection => reject("invalid", `${noun} ${id} is restored twice`, "begin another");

/** The first noun whose rules do not allow what would be left; null when all do. */
export function checkAll(registry: Registry, before: World, after: PlannedWorld): Rejection | null {
  for (const { name, backup } of registry.nouns) {
    const changed = after.changed(name);
    const refused = changed.size === 0 ? null : (backup?.check?.(before, after, changed) ?? null);
    if (refused !== null) return refused;
  }
  return null;
}

function need(world: World, id: string): Stored<RestorationRow> | Rejection {
  return world.get<RestorationRow>("restoration", id) ?? reject("not_found", `there is no restoration ${id}`, "begin one");
}

function staging(world: World, id: string): Stored<RestorationRow> | Rejection {
  const stored = need(world, id);
  if ("rejected" in stored || stored.row.state === "staging") return stored;
  if (stored.row.state === "dropped") return wasDropped(id);
  return reject("conflict", `restoration ${id} is applied already`, "nothing is left to do");
}

const wasDropped = (id: string): Rejection =>
  reject("conflict", `restoration ${id} was dropped: another one has begun, or it was given up`, "begin another one");
