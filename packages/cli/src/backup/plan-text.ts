/** What a restore would change, or what differs between two commits, for people. */
import { counted } from "../shell/counted.ts";
import { printable } from "../shell/printable.ts";
import type { Paint } from "../shell/shell.ts";

export interface ShownField {
  readonly field: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

export interface ShownThing {
  readonly noun: string;
  readonly id: string;
  readonly kind: "created" | "changed" | "removed";
  readonly fields: readonly ShownField[];
}

/** The part of a plan that is shown. `things` may hold only the first of them. */
export interface ShownPlan {
  readonly created: number;
  readonly changed: number;
  readonly removed: number;
  readonly unchanged: number;
  readonly kept: readonly { readonly noun: string; readonly id: string; readonly why: string }[];
  readonly things: readonly ShownThing[];
}

const thingsMax = 50;
const keptMax = 20;
const fieldsMax = 4;
const valueCharsMax = 40;

/** One line a thing, then what is kept with its reason, then the counts; line feeds after each. */
export function renderPlan(plan: ShownPlan, paint: Paint): string {
  const shown = plan.things.slice(0, thingsMax);
  const names = shown.filter(({ kind }) => kind !== "removed").map((thing) => nameOf(thing).length);
  const room = Math.min(Math.max(0, ...names), 48);
  const total = plan.created + plan.changed + plan.removed;
  const kept = plan.kept.slice(0, keptMax).map((thing) => `= ${nameOf(thing)} stays as it is: ${printable(thing.why)}\n`);
  return [
    ...shown.map((thing) => lineOf(thing, room, paint)),
    more(total - shown.length),
    ...kept,
    more(plan.kept.length - kept.length),
    `${summaryOf(plan)}\n`,
  ].join("");
}

const more = (count: number): string => (count <= 0 ? "" : `… and ${count} more (-o json shows up to 10,000)\n`);

/** "1 created, 2 changed, 14 unchanged"; what is alike in two commits is not counted. */
export function summaryOf(plan: Omit<ShownPlan, "things">): string {
  const { created, changed, removed, unchanged, kept } = plan;
  const counts = [
    [created, "created"],
    [changed, "changed"],
    [removed, "removed"],
    [kept.length, "kept"],
  ] as const;
  const parts = counts.filter(([count]) => count > 0).map(([count, word]) => `${count} ${word}`);
  const differing = parts.length === 0 ? "no difference" : parts.join(", ");
  return unchanged === 0 ? differing : `${differing}, ${unchanged} unchanged`;
}

export const isEmpty = ({ created, changed, removed }: Pick<ShownPlan, "created" | "changed" | "removed">): boolean =>
  created + changed + removed === 0;

const nameOf = ({ noun, id }: { readonly noun: string; readonly id: string }): string => `${noun} ${printable(id)}`;

const signs = { created: ["green", "+"], changed: ["yellow", "~"], removed: ["red", "-"] } as const;

function lineOf(thing: ShownThing, room: number, paint: Paint): string {
  const [color, sign] = signs[thing.kind];
  const said = thing.kind === "removed" ? "" : fieldsText(thing);
  const name = said === "" ? nameOf(thing) : `${nameOf(thing).padEnd(room)}  ${said}`;
  return `${paint(color, sign)} ${name}\n`;
}

/** `value 0.9 → 0.8, description "" → "why"`; of something new only what it becomes. */
function fieldsText({ kind, fields }: ShownThing): string {
  const flat = kind === "created" ? fields.flatMap(({ field, to }) => inner(field, to)) : fields;
  const shown = flat.slice(0, fieldsMax).map(({ field, from, to }) => {
    const name = field === "" ? "" : `${printable(field)} `;
    return kind === "created" ? `${name}${valueText(to)}` : `${name}${valueText(from)} → ${valueText(to)}`;
  });
  const hidden = flat.length - shown.length;
  return [...shown, ...(hidden === 0 ? [] : [`… ${counted(hidden, "more field")}`])].join(", ");
}

/** A new thing comes as one value with its fields inside; texts that are empty are not worth a word. */
function inner(field: string, to: unknown): readonly ShownField[] {
  if (field !== "" || typeof to !== "object" || to === null || Array.isArray(to)) return [{ field, to }];
  return Object.entries(to)
    .filter(([, value]) => value !== "")
    .map(([name, value]) => ({ field: name, to: value as unknown }));
}

/** JSON on one line, shortened; nothing where there is none. */
function valueText(value: unknown): string {
  if (value === undefined) return "(none)";
  const text = printable(JSON.stringify(value));
  return text.length <= valueCharsMax ? text : `${text.slice(0, valueCharsMax)}…`;
}
