/** The leader's rows ahead of commit: what its own entries in flight will make of the applied rows. */
import type { Stored, World } from "@aether/core/kernel/world";

interface Ahead {
  readonly stored: Stored | undefined;
  /** The last entry in flight that changed it: when that one is applied, the applied row is the same. */
  readonly index: number;
  /** What it adds to the count of applied rows: 1, 0 or -1. */
  counts: number;
}

interface AheadRows {
  readonly rows: Map<string, Ahead>;
  /** Sum of all `counts`. */
  delta: number;
}

export class Overlay implements World {
  private readonly base: World;
  private nouns = new Map<string, AheadRows>();

  constructor(base: World) {
    this.base = base;
  }

  get<R = unknown>(noun: string, id: string): Stored<R> | undefined {
    const ahead = this.nouns.get(noun)?.rows.get(id);
    return ahead === undefined ? this.base.get<R>(noun, id) : (ahead.stored as Stored<R> | undefined);
  }

  *all<R = unknown>(noun: string): Iterable<Stored<R>> {
    const ahead = this.nouns.get(noun)?.rows;
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
    return this.base.count(noun) + (this.nouns.get(noun)?.delta ?? 0);
  }

  put(noun: string, id: string, stored: Stored | undefined, index: number): void {
    let ahead = this.nouns.get(noun);
    if (ahead === undefined) this.nouns.set(noun, (ahead = { rows: new Map(), delta: 0 }));
    const counts = this.difference(noun, id, stored);
    ahead.delta += counts - (ahead.rows.get(id)?.counts ?? 0);
    ahead.rows.set(id, { stored, index, counts });
  }

  /** Entry `index` is applied: what it was the last to change needs no overlay any more. */
  settle(noun: string, id: string, index: number): void {
    const ahead = this.nouns.get(noun);
    const row = ahead?.rows.get(id);
    if (ahead === undefined || row === undefined) return;
    ahead.delta -= row.counts;
    if (row.index === index) {
      ahead.rows.delete(id);
      return;
    }
    row.counts = this.difference(noun, id, row.stored);
    ahead.delta += row.counts;
  }

  clear(): void {
    this.nouns = new Map();
  }

  private difference(noun: string, id: string, stored: Stored | undefined): number {
    return (stored === undefined ? 0 : 1) - (this.base.get(noun, id) === undefined ? 0 : 1);
  }
}
