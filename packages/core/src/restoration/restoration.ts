/** The nouns `restoration`, whose ids are drawn, and `restoration-part`, one for each part of one that is being staged. */
import type { Noun } from "../kernel/noun.ts";
import { makeRegistry } from "../kernel/registry.ts";
import { restorationCommands, restorationPartCommands } from "./commands.ts";
import { restorationEvents, restorationPartEvents } from "./events.ts";
import { expandRestoration } from "./expand.ts";
import { evolveRestoration, evolveRestorationPart, type RestorationPartRow, type RestorationRow } from "./state.ts";

/** `restored`: the nouns whose things a restoration brings back. */
export function restorationNouns(restored: readonly Noun[]): readonly Noun[] {
  const registry = makeRegistry(restored);
  const restoration: Noun<RestorationRow> = {
    name: "restoration",
    events: restorationEvents,
    commands: restorationCommands(registry),
    evolve: evolveRestoration,
    expand: expandRestoration,
  };
  const part: Noun<RestorationPartRow> = {
    name: "restoration-part",
    events: restorationPartEvents,
    commands: restorationPartCommands(registry),
    evolve: evolveRestorationPart,
  };
  return [restoration as Noun, part as Noun];
}
