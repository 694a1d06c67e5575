/** What a restore would change: made of a backup's things and the world as it is, shown to a person, and then written as events. */
import type { DomainEvent } from "../kernel/event.ts";
import { jsonEqual } from "../kernel/json.ts";
import type { BackupFacet } from "../kernel/noun.ts";
import type { Registry } from "../kernel/registry.ts";
import type { Stored, World } from "../kernel/world.ts";
import type { WantedThing } from "./thing-files.ts";

export interface FieldChange {
  /** Names from the thing's wanted state inwards, divided by dots; empty for the whole. */
  readonly field: string;
  readonly from: unknown;
  readonly to: unknown;
}

export interface PlannedThing {
  readonly noun: string;
  readonly id: string;
  readonly kind: "created" | "changed" | "removed";
  readonly fields: readonly FieldChange[];
  /** What the backup says; undefined for what is removed. */
  readonly wanted: unknown;
  readonly events: readonly DomainEvent[];
  /** Of the row that the plan was made of; both 0 when there was none. */
  readonly version: number;
  readonly index: number;
}

export interface KeptThing {
  readonly noun: string;
  readonly id: string;
  /** Why it stays as it is though the backup says something else. */
  readonly why: string;
}

export interface Plan {
  readonly things: readonly PlannedThing[];
  readonly kept: readonly KeptThing[];
  readonly unchanged: number;
}

/** Whether a thing takes part, for `--only`. */
export type Chosen = (noun: string, id: string) => boolean;

/** Nouns in the registry's order, things by id. Nouns without a facet are not looked at. */
export function planRestore(registry: Registry, world: World, wanted: Iterable<WantedThing>, chosen: Chosen): Plan {
  const steps = planSteps(registry, world, wanted, chosen);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** Things looked at in one step of {@link planSteps}: some milliseconds. */
const stepThings = 512;

/**
 * The same in steps, between which the world may go on: what is planned of a thing is of the moment at which it was looked at, and
 * says of which version.
 */
export function* planSteps(
  registry: Registry,
  world: World,
  wanted: Iterable<WantedThing>,
  chosen: Chosen,
): Generator<void, Plan, undefined> {
  const goals = new Map<string, Map<string, unknown>>();
  let looked = 0;
  for (const { noun, id, wanted: goal } of wanted) {
    if (++looked % stepThings === 0) yield;
    if (!chosen(noun, id)) continue;
    const ofNoun = goals.get(noun) ?? new Map<string, unknown>();
    goals.set(noun, ofNoun.set(id, goal));
  }
  const things: PlannedThing[] = [];
  const kept: KeptThing[] = [];
  let unchanged = 0;
  for (const { name, backup } of registry.nouns) {
    if (backup === undefined) continue;
    const ofNoun = goals.get(name) ?? new Map<string, unknown>();
    const ids = new Set(ofNoun.keys());
    for (const { id } of world.all(name)) {
      if (++looked % stepThings === 0) yield;
      if (chosen(name, id)) ids.add(id);
    }
    for (const id of [...ids].toSorted((a, b) => (a < b ? -1 : 1))) {
      if (++looked % stepThings === 0) yield;
      const planned = planThing(name, backup, id, world.get(name, id), ofNoun.get(id));
      if (planned === null) unchanged++;
      else if ("why" in planned) kept.push(planned);
      else things.push(planned);
    }
  }
  return { things, kept, unchanged };
}

/** Null when it stays as it is, for it is as it should be. */
function planThing(
  noun: string,
  backup: BackupFacet,
  id: string,
  stored: Stored | undefined,
  wanted: unknown,
): PlannedThing | KeptThing | null {
  const now = stored === undefined ? undefined : backup.wanted(stored.row);
  if (now === undefined ? wanted === undefined : wanted !== undefined && jsonEqual(now, wanted)) return null;
  const events = backup.restore(id, stored?.row, wanted);
  if (typeof events === "string") return { noun, id, why: events };
  if (events.length === 0) return null;
  const kind = stored === undefined ? "created" : wanted === undefined ? "removed" : "changed";
  return {
    noun,
    id,
    kind,
    fields: changesOf(now, wanted, ""),
    wanted,
    events,
    version: stored?.version ?? 0,
    index: stored?.index ?? 0,
  };
}

/** Field by field where both sides are objects, else the whole value. */
export function changesOf(from: unknown, to: unknown, at: string): FieldChange[] {
  if (!isFields(from) || !isFields(to)) return same(from, to) ? [] : [{ field: at, from, to }];
  const names = [...new Set([...Object.keys(from), ...Object.keys(to)])].toSorted((a, b) => (a < b ? -1 : 1));
  return names.flatMap((name) => changesOf(from[name], to[name], at === "" ? name : `${at}.${name}`));
}

const isFields = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const same = (a: unknown, b: unknown): boolean => (a === undefined || b === undefined ? a === b : jsonEqual(a, b));

/**
 * `setting/cpu_*`, `node/n1`, or a noun alone: `*` stands for anything within an id, slashes included. Comma-separated or given again,
 * one that fits is enough. Throws RangeError on a noun that there is none of.
 */
export function chosenBy(registry: Registry, patterns: readonly string[]): Chosen {
  if (patterns.length === 0) return () => true;
  const tests = patterns.map((pattern) => {
    const cut = pattern.indexOf("/");
    const noun = cut < 0 ? pattern : pattern.slice(0, cut);
    if (noun !== "*" && registry.noun(noun)?.backup === undefined) throw new RangeError(`there is no ${noun} in backups`);
    const id = cut < 0 ? "*" : pattern.slice(cut + 1);
    const expression = new RegExp(`^${id.split("*").map(literally).join("[^]*")}$`);
    return { noun, expression };
  });
  return (noun, id) => tests.some((test) => (test.noun === "*" || test.noun === noun) && test.expression.test(id));
}

const literally = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&");
