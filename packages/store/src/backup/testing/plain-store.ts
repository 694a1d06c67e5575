/** A rules' bench as the store that a writer of backups sees: rows in memory, changed by the commands that are tried on it. */
import type { RulesBench } from "@aether/core/testing/rules-bench";
import { registry } from "@aether/core/registry";
import type { EventStore, FrozenRow, Moment } from "../../types.ts";

export type StoreForBackups = Pick<EventStore, "world" | "applied" | "moment" | "freeze" | "onApplied">;

/** It tells nobody what changes: a writer over it is to be opened anew for each backup. */
export function plainStore(bench: RulesBench): StoreForBackups {
  const moment = (): Moment => ({ index: bench.world.index, term: 1, at: bench.world.index * 1_000, chain: "ab".repeat(32) });
  return {
    world: bench.world,
    get applied() {
      return bench.world.index;
    },
    moment,
    onApplied: () => () => undefined,
    freeze: () => {
      const rows = registry.nouns.flatMap(({ name }) =>
        [...bench.world.all(name)].map((stored): FrozenRow => ({ noun: name, stored })),
      );
      return Promise.resolve({
        ...moment(),
        close: () => Promise.resolve(),
        rows: async function* (wanted) {
          await Promise.resolve();
          yield rows.filter(({ noun, stored }) => wanted?.(`${noun}/${stored.id}`) !== false);
        },
      });
    },
  };
}
