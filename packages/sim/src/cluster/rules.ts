import type { Noun } from "@aether/core/kernel/noun";
import { makeRegistry, type Registry } from "@aether/core/kernel/registry";
import { registry } from "@aether/core/registry";
import type { SettingRow } from "@aether/core/setting/state";
import type { Stream } from "../world/stream.ts";

/** The rules that ship; or, to see that the digests notice, rules that throw dice while they evolve. */
export function rulesOf(dice: Stream | null): Registry {
  if (dice === null) return registry;
  const nouns = registry.nouns.map((noun) => (noun.name === "setting" ? withDice(noun as Noun<SettingRow>, dice) : noun));
  return makeRegistry(nouns as Noun[]);
}

function withDice(noun: Noun<SettingRow>, dice: Stream): Noun<SettingRow> {
  return {
    ...noun,
    evolve: (row, event, context) => {
      const next = noun.evolve(row, event, context);
      return next === undefined || !dice.chance(0.01) ? next : { ...next, description: String(dice.next()) };
    },
  };
}
