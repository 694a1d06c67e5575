/** What happens to restorations and their parts. */
import * as Schema from "effect/Schema";
import { defineEvent } from "../kernel/define.ts";
import { entryBytesMax } from "../kernel/event.ts";
import { between, hex, Index, jsonOf, text } from "../kernel/fields.ts";

/** More would not be brought into one cluster's memory: some 512 MiB of wishes. */
export const restorePartsMax = 1_024;
export const restoreThingsMax = 1_000_000;
/** Things in one part. */
export const partThingsMax = 8_192;

const partsSchema = between(1, restorePartsMax);
const thingsSchema = between(1, restoreThingsMax);
const source = Schema.Struct({ commit: Schema.NullOr(hex(7, 64)), index: Index, at: Index });
export const nounCharsMax = 64;
export const idCharsMax = 512;

/** What both the commands and the events say of a restoration as a whole. */
export const whole = { source, things: thingsSchema, parts: partsSchema } as const;
export const changingThing = {
  noun: text(nounCharsMax),
  id: text(idCharsMax),
  version: Index,
  index: Index,
  absent: Schema.optionalKey(Schema.Literal(true)),
} as const;

/** The restoration is brought in, in so many parts. */
export const RestoreBegun = defineEvent({ type: "RestoreBegun", v: 1, level: 1, fields: whole });

/** One of its parts is there. */
export const RestorePartAdded = defineEvent({ type: "RestorePartAdded", v: 1, level: 1, fields: { part: partsSchema } });

/**
 * From this entry on it counts: the event stands for the events of all parts, and for the end of the parts. `entries` are the indexes of
 * those that staged them, where what happened to each thing can be read; `things` and `events` say how many there are.
 */
export const RestoreApplied = defineEvent({
  type: "RestoreApplied",
  v: 1,
  level: 1,
  fields: { things: thingsSchema, events: Index, entries: Schema.Array(Index) },
});

/** It will not be applied any more. */
export const RestoreDropped = defineEvent({ type: "RestoreDropped", v: 1, level: 1, fields: {} });
/** Its row goes: there are newer ones. */
export const RestoreForgotten = defineEvent({ type: "RestoreForgotten", v: 1, level: 1, fields: {} });

/** What would happen to these things. It does not, until the restoration is applied. */
export const RestorePartStaged = defineEvent({
  type: "RestorePartStaged",
  v: 1,
  level: 1,
  fields: {
    things: Schema.Array(Schema.Struct(changingThing)),
    // as deep as a wish, and a level more
    events: Schema.Array(jsonOf(entryBytesMax, 67)),
  },
});

/** The part was applied with its restoration, or dropped with it. */
export const RestorePartDropped = defineEvent({ type: "RestorePartDropped", v: 1, level: 1, fields: {} });

export const restorationEvents = [RestoreBegun, RestorePartAdded, RestoreApplied, RestoreDropped, RestoreForgotten];
export const restorationPartEvents = [RestorePartStaged, RestorePartDropped];
