/**
 * JSON as text in one form only: keys in order, two spaces for each level, a newline at the end. The same value is the same text on
 * every machine, and two that differ a little are texts that differ in a few lines.
 */

/** Throws on what is no JSON. Fields that are undefined are left out; -0 is 0. */
export const canonicalJson = (value: unknown): string => `${JSON.stringify(ordered(value), null, 2)}\n`;

function ordered(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value === 0 ? 0 : value;
  if (Array.isArray(value)) return value.map((item) => (item === undefined ? null : ordered(item)));
  if (typeof value !== "object" || ArrayBuffer.isView(value)) throw new TypeError(`${typeof value} is no JSON`);
  const fields = value as Readonly<Record<string, unknown>>;
  // keys that are whole numbers come before the others, in every object
  const kept = Object.keys(fields).filter((key) => fields[key] !== undefined);
  return Object.fromEntries(kept.toSorted(inOrder).map((key) => [key, ordered(fields[key])]));
}

const inOrder = (a: string, b: string): number => (a < b ? -1 : 1);
