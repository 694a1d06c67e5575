/**
 * What restores promise, held against the one true log. The rows that the log makes are made here once more, entry by entry: what is
 * staged changes nothing that is wanted; what is applied is what was planned, of the very rows that it was planned of; and
 * then the world is the one that was backed up, byte for byte, outside of what others wrote meanwhile and what the plan had said that it keeps.
 */
import type { Chosen } from "@aether/core/backup/plan";
import { filesOf, observedFolder, parseThing } from "@aether/core/backup/thing-files";
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import { makePlainWorld, type PlainWorld } from "@aether/core/kernel/plain-world";
import type { World } from "@aether/core/kernel/world";
import { registry } from "@aether/core/registry";
import { partOf, type RestorationRow } from "@aether/core/restoration/state";
import type { Index } from "@aether/raft/types";
import { hold } from "./violation.ts";

/** What is wanted of everything, path and text. */
export type WantedFiles = ReadonlyMap<string, string>;

export function wantedFiles(world: World): WantedFiles {
  const files = registry.nouns.flatMap((noun) => [...world.all(noun.name)].flatMap((stored) => filesOf(noun, stored)));
  return new Map(files.filter(({ path }) => !path.startsWith(`${observedFolder}/`)).map(({ path, text }) => [path, text]));
}

/** A restore that may be applied from now on. */
export interface StartedRestore {
  /** Of the backup. */
  readonly goal: WantedFiles;
  readonly chosen: Chosen;
  /** The entry that the world was of against which it was planned. */
  readonly from: Index;
  /** Things, "noun/id", that the plan changes, with the index of the row that it was made of: 0 for none. */
  readonly changes: ReadonlyMap<string, Index>;
  /** Things that it keeps as they are. */
  readonly keeps: ReadonlySet<string>;
}

/** A thing as a restore left it: version 0 for one that it removed. */
export interface RestoredThing {
  readonly id: string;
  readonly version: number;
  readonly value: unknown;
}

export interface AppliedRestore {
  readonly index: Index;
  readonly settings: readonly RestoredThing[];
}

export class Restores {
  /** What the log makes of the rows, up to the newest entry that anybody has applied. */
  readonly world: PlainWorld = makePlainWorld(registry);
  readonly applied = new Map<string, AppliedRestore>();
  readonly counts = { restores: 0, restoredThings: 0, refusedRestores: 0 };
  readonly #started = new Map<string, StartedRestore>();
  readonly #refused = new Map<string, string>();

  starts(id: string, restore: StartedRestore): void {
    this.#started.set(id, restore);
  }

  /** Somebody was told that it changes nothing. */
  refused(id: string, reason: string): void {
    const { index } = this.applied.get(id) ?? {};
    hold(index === undefined, "a refused restore changes nothing", () => `${id} is refused as ${reason}, applied at ${index}`);
    this.#refused.set(id, reason);
    this.counts.refusedRestores += 1;
  }

  /** An entry's events take effect. Gives the things, "noun/id", that it is about; `about` are the entries before, by thing. */
  takes(
    events: readonly DomainEvent[],
    context: EventContext,
    about: ReadonlyMap<string, readonly Index[]>,
  ): ReadonlySet<string> {
    const applied = events.find(({ type }) => type === "RestoreApplied");
    const ofRestore = events.some(({ type }) => registry.nounOf(type)?.name.startsWith("restoration") === true);
    const expanded = events.flatMap((event) => [...(registry.nounOf(event.type)?.expand?.(event, this.world) ?? [])]);
    const things = new Set([...events, ...expanded].map(({ type, id }) => `${registry.nounOf(type)?.name}/${id}`));
    const before = ofRestore ? wantedFiles(this.world) : null;
    if (applied !== undefined) this.#checkPlan(applied.id, context.index);
    this.world.apply(events, context);
    if (before === null) return things;
    const after = wantedFiles(this.world);
    if (applied === undefined) hold(same(before, after), "what is staged has no effect", () => `entry ${context.index}`);
    else this.#checkApplied(applied.id, context.index, { before, after, about });
    this.#checkStaging(context.index);
    return things;
  }

  /** Before it takes effect: nobody was told that it never would, and its things are the very rows that it was planned of. */
  #checkPlan(id: string, index: Index): void {
    const refused = this.#refused.get(id);
    hold(
      refused === undefined,
      "a refused restore changes nothing",
      () => `${id}, refused as ${refused}, is applied at ${index}`,
    );
    const restore = this.#started.get(id);
    hold(restore !== undefined, "a restore is asked for", () => `${id} is applied at ${index}`);
    for (const [thing, planned] of restore.changes) {
      const now = this.world.get(...cut(thing))?.index ?? 0;
      const differs = (): string => `${id} at ${index}: ${thing} is of entry ${now}, and was of ${planned}`;
      hold(now === planned, "a restore is of what it was planned of", differs);
    }
  }

  #checkApplied(
    id: string,
    index: Index,
    { before, after, about }: { before: WantedFiles; after: WantedFiles; about: ReadonlyMap<string, readonly Index[]> },
  ): void {
    const { from, goal, changes, keeps, chosen } = this.#started.get(id) as StartedRestore;
    const touched = (thing: string): boolean => about.get(thing)?.some((at) => at > from && at < index) === true;
    for (const path of new Set([...goal.keys(), ...before.keys(), ...after.keys()])) {
      const thing = thingOf(path, goal.get(path) ?? before.get(path) ?? after.get(path) ?? "");
      const [noun, one] = cut(thing);
      const [was, is, should] = [before.get(path), after.get(path), goal.get(path)];
      if (!changes.has(thing)) hold(was === is, "a restore changes what it planned", () => `${id} at ${index} changes ${thing}`);
      if (!chosen(noun, one) || keeps.has(thing) || (touched(thing) && !changes.has(thing))) continue;
      const differs = (): string => `${id} at ${index}: ${thing} is ${is ?? "gone"}, and was ${should ?? "not there"}`;
      hold(withoutReason(is) === withoutReason(should), "a restored world is the one that was backed up", differs);
    }
    const settings = [...changes.keys()].flatMap((thing) => this.#settingOf(thing));
    this.applied.set(id, { index, settings });
    this.counts.restores += 1;
    this.counts.restoredThings += changes.size;
  }

  #settingOf(thing: string): RestoredThing[] {
    const [noun, id] = cut(thing);
    if (noun !== "setting") return [];
    const stored = this.world.get<{ readonly value: unknown }>(noun, id);
    return [{ id, version: stored?.version ?? 0, value: stored?.row.value }];
  }

  /** One at a time, and nothing is left of one that has ended. */
  #checkStaging(index: Index): void {
    const staging = [...this.world.all<RestorationRow>("restoration")].filter(({ row }) => row.state === "staging");
    const names = staging.map(({ id }) => id);
    hold(names.length <= 1, "one restore is staged at a time", () => `${names.join()} at ${index}`);
    const left = [...this.world.all("restoration-part")].find(({ id }) => !names.includes(partOf(id).restoration));
    hold(left === undefined, "no part outlives its restore", () => `${left?.id} at ${index}`);
  }
}

/** All rows of a world as text, in one order. */
export function rowsOf(world: World): string {
  const rows = registry.nouns.flatMap(({ name }) =>
    [...world.all(name)].map((stored) => JSON.stringify([name, stored.id, stored.version, stored.index, stored.at, stored.row])),
  );
  return rows.toSorted().join("\n");
}

const same = (one: WantedFiles, other: WantedFiles): boolean =>
  one.size === other.size && [...one].every(([path, text]) => other.get(path) === text);

function thingOf(path: string, text: string): string {
  const { noun, id } = parseThing(registry, path, text);
  return `${noun}/${id}`;
}

const cut = (thing: string): readonly [string, string] => {
  const slash = thing.indexOf("/");
  return [thing.slice(0, slash), thing.slice(slash + 1)];
};

/** A drain that goes on keeps the reason it has. */
const withoutReason = (text: string | undefined): string | undefined => text?.replace(/,\n {4}"reason": ".*"/, "");
