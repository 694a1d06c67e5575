/**
 * What has changed since the newest commit: the things that the store says have, as long as they are not too many and nobody has replaced
 * rows or repository as a whole. Then all of both are to be compared.
 */
import { filesOf } from "@aether/core/backup/thing-files";
import type { Registry } from "@aether/core/kernel/registry";
import type { EventStore } from "../types.ts";
import { blobOf, oidOf, type Oid } from "../git/object.ts";

/** More are not remembered: to find them among all rows is cheaper than to hold them. */
const gatheredMax = 50_000;
const rememberedMax = 10_000;

/** "noun/id". */
export type Thing = string;

export class Gathered {
  private readonly store: Pick<EventStore, "world" | "applied" | "onApplied">;
  private readonly registry: Registry;
  private readonly unsubscribe: () => void;
  /** With an index at or after that of its last change. */
  private readonly changes = new Map<Thing, number>();
  /** Those of them that nobody has looked at since they changed. */
  private readonly unseen = new Map<Thing, number>();
  /** What was wanted when it was looked at: of things that also change without anybody wanting anything else. */
  private readonly remembered = new Map<Thing, Oid>();
  /** Up to this entry anything may have changed; -1 for nothing. */
  private lostAt: number;
  /** All of that was looked at, and nothing else is wanted. */
  private looked = false;

  constructor(store: Pick<EventStore, "world" | "applied" | "onApplied">, registry: Registry) {
    this.store = store;
    this.registry = registry;
    this.lostAt = store.applied;
    this.unsubscribe = store.onApplied((changed, applied) => {
      if (changed === null) this.lose();
      else for (const thing of changed) this.note(thing, applied);
    });
  }

  /** Whether more than the things of {@link things} may have changed. */
  get lost(): boolean {
    return this.lostAt >= 0;
  }

  get size(): number {
    return this.changes.size;
  }

  /** May be changed while it is walked. */
  things(): Iterable<Thing> {
    return this.changes.keys();
  }

  has(thing: Thing): boolean {
    return this.changes.has(thing);
  }

  /** Whether something may be wanted now that the newest commit does not say. */
  get dirty(): boolean {
    if (this.lost && !this.looked) return true;
    for (const thing of this.unseen.keys()) {
      if (this.mayWant(thing)) return true;
      this.unseen.delete(thing);
    }
    return false;
  }

  /** Nothing is known of what has changed. */
  lose(): void {
    this.changes.clear();
    this.unseen.clear();
    this.remembered.clear();
    this.lostAt = this.store.applied;
    this.looked = false;
  }

  /** A commit tells of everything up to this entry. */
  committed(index: number): void {
    dropUpTo(this.changes, index);
    this.seen(index);
    if (this.lostAt <= index) this.lostAt = -1;
  }

  /** Everything up to this entry was looked at, and nothing else is wanted. */
  seen(index: number): void {
    dropUpTo(this.unseen, index);
  }

  /**
   * Everything up to this entry was compared, and nothing else is wanted; of these things (null: of too many) something else was seen, which
   * the next commit has to tell.
   */
  compared(index: number, seenOnly: readonly Thing[] | null): void {
    if (this.lostAt > index) return;
    this.seen(index);
    this.looked = true;
    if (seenOnly === null) return;
    this.lostAt = -1;
    dropUpTo(this.changes, index);
    for (const thing of seenOnly) this.changes.set(thing, Math.max(index, this.changes.get(thing) ?? 0));
  }

  /** What a thing's file of wanted state is, null when it has none. */
  remember(thing: Thing, file: Oid | null): void {
    if (file === null) this.remembered.delete(thing);
    else if (this.observes(thing) && (this.remembered.size < rememberedMax || this.remembered.has(thing)))
      this.remembered.set(thing, file);
  }

  close(): void {
    this.unsubscribe();
  }

  private note(thing: Thing, index: number): void {
    if (this.registry.noun(nounOf(thing))?.backup === undefined) return;
    if (this.changes.size >= gatheredMax && !this.changes.has(thing)) {
      this.lose();
      return;
    }
    this.changes.set(thing, index);
    this.unseen.set(thing, index);
  }

  private observes(thing: Thing): boolean {
    return this.registry.noun(nounOf(thing))?.backup?.observed !== undefined;
  }

  private mayWant(thing: Thing): boolean {
    if (!this.observes(thing)) return true;
    const noun = this.registry.noun(nounOf(thing));
    const stored = this.store.world.get(nounOf(thing), idOf(thing));
    const [file] = noun === undefined || stored === undefined ? [] : filesOf(noun, stored);
    return file === undefined || oidOf(blobOf(file.text)) !== this.remembered.get(thing);
  }
}

export const nounOf = (thing: Thing): string => thing.slice(0, thing.indexOf("/"));
export const idOf = (thing: Thing): string => thing.slice(thing.indexOf("/") + 1);

function dropUpTo(things: Map<Thing, number>, index: number): void {
  for (const [thing, at] of things) if (at <= index) things.delete(thing);
}
