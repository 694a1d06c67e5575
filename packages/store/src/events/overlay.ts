/** The leader's rows ahead of commit: what its own entries in flight will make of the applied rows. */
import type { Stored, World } from "@aether/core/kernel/world";

interface Ahead {
  readonly stored: Stored | undefined;
  /** The last entry in flight that changed it: when that one is applied, the applied row is the same. */
  readonly index: number;
}

export class Overlay implements World {
  private readonly base: World;
  private nouns = new Map<string, Map<string, Ahead>>();

  constructor(base: World) {
    this.base = base;
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    const ahead = this.nouns.get(noun)?.get(id);
    return ahead === undefined ? this.base.get<R>(noun, id) : (ahead.stored as Stored<R> | undefined);
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    const ahead = this.nouns.get(noun);
    if (ahead === undefined || ahead.size === 0) {
      yield* this.base.all<R>(noun);
      return;
    }
    for (const stored of this.base.all<R>(noun)) {
      const over = ahead.get(stored.id);
      if (over === undefined) yield stored;
      else if (over.stored !== undefined) yield over.stored as Stored<R>;
    }
    for (const [id, over] of ahead) {
      if (over.stored !== undefined && this.base.get(noun, id) === undefined) yield over.stored as Stored<R>;
    }
  }

  count(noun: string): number {
    let count = this.base.count(noun);
    for (const [id, over] of this.nouns.get(noun) ?? []) {
      const applied = this.base.get(noun, id) !== undefined;
      if (over.stored !== undefined && !applied) count++;
      else if (over.stored === undefined && applied) count--;
    }
    return count;
  }

  put(noun: string, id: string, stored: Stored | undefined, index: number): void {
    let rows = this.nouns.get(noun);
    if (rows === undefined) this.nouns.set(noun, (rows = new Map()));
    rows.set(id, { stored, index });
  }

  /** Entry `index` is applied: what it was the last to change needs no overlay any more. */
  settle(noun: string, id: string, index: number): void {
    const rows = this.nouns.get(noun);
    if (rows?.get(id)?.index === index) rows.delete(id);
  }

  clear(): void {
    this.nouns = new Map();
  }
}
