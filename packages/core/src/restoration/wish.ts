/** What a command asks to be restored, before it is looked at whether that is a wanted state of its noun. */
import { jsonBytesMax } from "../kernel/fields.ts";
import { jsonFault } from "../kernel/json.ts";
import { idCharsMax, nounCharsMax, partThingsMax } from "./events.ts";
import type { ChangingThing } from "./planned-world.ts";

/** What is wanted of a thing that the plan found at `version`, and with this index if it says so; unless it should be absent. */
export interface Wish extends Omit<ChangingThing, "index"> {
  readonly index?: number;
  readonly wanted?: unknown;
}

/** What is wanted of a thing has a field with the largest value that there is, and a little more. */
const wantedBytesMax = jsonBytesMax + 4_096;
const wantedLevelsMax = 66;

/** What the wishes of a part should have been; null for those that are. */
export function wishesFault(things: unknown): string | null {
  if (!Array.isArray(things) || things.length === 0 || things.length > partThingsMax) return `1 to ${partThingsMax} things`;
  for (const [at, thing] of things.entries()) {
    const fault = wishFault(thing);
    if (fault !== null) return `of thing ${at + 1} ${fault}`;
  }
  return null;
}

function wishFault(thing: unknown): string | null {
  if (typeof thing !== "object" || thing === null || Array.isArray(thing)) return "its fields";
  const { noun, id, version, index = 0, absent, ...more } = thing as Readonly<Record<string, unknown>>;
  if (!isText(noun, nounCharsMax)) return `a noun: text of at most ${nounCharsMax} characters`;
  if (!isText(id, idCharsMax)) return `an id: text of at most ${idCharsMax} characters`;
  if (!isCount(version) || !isCount(index)) return "a version and index: whole numbers from 0 on";
  if (absent !== undefined && absent !== true) return "absent to be true, or not there";
  const unknown = Object.keys(more).find((field) => field !== "wanted");
  if (unknown !== undefined) return `no field ${unknown.slice(0, nounCharsMax)}`;
  const fault = "wanted" in more ? jsonFault(more["wanted"], wantedBytesMax, wantedLevelsMax) : null;
  return fault === null ? null : `wanted as ${fault}`;
}

const isText = (value: unknown, charsMax: number): boolean => typeof value === "string" && value.length <= charsMax;
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
