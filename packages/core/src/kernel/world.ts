/** The world: all rows at an index. Readers get rows; only the store writes them. */

/** One thing's current state. `version` starts at 1 and grows by one with each event of the thing; `index`/`at` are of the last one. */
export interface Stored<R = unknown> {
  readonly id: string;
  readonly version: number;
  readonly index: number;
  readonly at: number;
  readonly row: R;
}

export interface World {
  get<R = unknown>(noun: string, id: string): Stored<R> | undefined;
  /** In no order that means anything, and not the same on every member: sort before anything that must be equal on every member. */
  all<R = unknown>(noun: string): Iterable<Stored<R>>;
  count(noun: string): number;
}
