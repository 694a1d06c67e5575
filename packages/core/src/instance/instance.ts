/** The noun `instance`; ids are nodes' names. It is in no backup: a restore cannot undo what a vendor has made or deleted. */
import type { Noun } from "../kernel/noun.ts";
import { instanceCommands } from "./commands.ts";
import { instanceEvents } from "./events.ts";
import { evolveInstance, type InstanceRow } from "./state.ts";

export const instance: Noun<InstanceRow> = {
  name: "instance",
  events: instanceEvents,
  commands: instanceCommands,
  evolve: evolveInstance,
};
