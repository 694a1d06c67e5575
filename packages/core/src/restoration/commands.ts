/** What can be asked of restorations. */
import * as Schema from "effect/Schema";
import type { CommandType } from "../kernel/command.ts";
import { defineCommand } from "../kernel/define.ts";
import type { Registry } from "../kernel/registry.ts";
import * as rules from "./decide.ts";
import { restorePartsMax, whole } from "./events.ts";
import { wishesFault } from "./wish.ts";

const idPattern = /^[a-z0-9][a-z0-9-]{0,63}$/;
const RestorationId = Schema.String.check(
  Schema.isPattern(idPattern, { expected: "1 to 64 lower-case letters, digits and hyphens" }),
);
const PartId = Schema.String.check(
  Schema.isPattern(/^[a-z0-9][a-z0-9-]{0,63}\/[1-9]\d{0,3}$/, {
    expected: `the restoration's id, a slash, and a number from 1 to ${restorePartsMax}`,
  }),
);
/** Thousands of wishes in a command: checked by hand, which takes a tenth of what a Schema of each takes. */
const Wishes = Schema.Unknown.check(
  Schema.makeFilter((things: unknown) => {
    const fault = wishesFault(things);
    return fault === null ? undefined : `Expected ${fault}`;
  }),
);

const who = { roles: ["operator", "member"] } as const;
const restoration = { ...who, id: RestorationId } as const;

/** Drops what another restoration has left. Refused: `conflict` when there is one of this id that is not the same. */
const BeginRestore = defineCommand({ ...restoration, type: "BeginRestore", fields: whole, decide: rules.decideBegin });

/** Refused: `conflict` (dropped meanwhile), `not_found`. One that has ended so stays as it is. */
const DropRestore = defineCommand({ ...restoration, type: "DropRestore", fields: {}, decide: rules.decideDrop });

/** `registry`: of the nouns that are restored. */
export const restorationCommands = (registry: Registry): readonly CommandType[] => [
  BeginRestore,
  /** Refused: `stale` (a thing has changed since the plan was made), `conflict` (parts are missing, dropped), or as a noun's rules say. */
  defineCommand({
    ...restoration,
    type: "ApplyRestore",
    fields: {},
    decide: (world, command) => rules.decideApply(registry, world, command),
  }),
  DropRestore,
];

export const restorationPartCommands = (registry: Registry): readonly CommandType[] => [
  /** Refused: `stale`, `conflict` (a wish that is none of its noun; dropped), `not_found`, `too_large`. */
  defineCommand({
    ...who,
    id: PartId,
    type: "StageRestorePart",
    fields: { things: Wishes },
    decide: (world, command) => rules.decideStage(registry, world, command as Parameters<typeof rules.decideStage>[2]),
  }),
];
