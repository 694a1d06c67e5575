/** JSON values from outside: whether a value is one, how large it is, and whether two are equal. */

const jsonLevelsMax = 64;

/**
 * Why `value` is not plain JSON of at most `bytesMax` bytes and `levelsMax` levels; null when it is. Bytes are about those
 * of the log's binary form: text counts its UTF-8, a number 8, a key or element one more. Cycles end at the level limit.
 */
export function jsonFault(value: unknown, bytesMax: number, levelsMax = jsonLevelsMax): string | null {
  const size = measure(value, levelsMax, bytesMax);
  if (size === tooDeep) return `JSON of at most ${levelsMax} levels`;
  if (typeof size === "string") return size;
  return size > bytesMax ? `JSON of at most ${bytesMax} bytes` : null;
}

const tooDeep = "JSON of fewer levels";

/** Its bytes as {@link jsonFault} counts them. Throws on what is no JSON. */
export function jsonBytes(value: unknown): number {
  const size = measure(value, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  if (typeof size === "string") throw new TypeError(`${size} was expected`);
  return size;
}

/** Bytes, or what it should have been; `levels` are those left. Stops counting soon after `budget`. */
function measure(value: unknown, levels: number, budget: number): number | string {
  if (typeof value === "string") return stringBytes(value);
  if (typeof value === "number") return Number.isFinite(value) ? 8 : "a finite number";
  if (typeof value === "boolean") return 5;
  if (typeof value !== "object") return `JSON, which has no ${typeof value}`;
  if (value === null) return 4;
  if (levels <= 0) return tooDeep;
  if (Array.isArray(value)) return measureAll(value, levels, budget, 0);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null)
    return "plain JSON: objects, arrays, text, numbers, true, false, null";
  // The log's binary form would come back with another name for it.
  if (Object.hasOwn(value, "__proto__")) return "JSON without a field called __proto__";
  let keys = 0;
  for (const key of Object.keys(value)) keys += stringBytes(key) + 1;
  return measureAll(Object.values(value), levels, budget, keys);
}

function measureAll(values: readonly unknown[], levels: number, budget: number, before: number): number | string {
  let total = 2 + before;
  for (const value of values) {
    const size = measure(value, levels - 1, budget);
    if (typeof size === "string") return size;
    total += size + 1;
    if (total > budget) return total;
  }
  return total;
}

function stringBytes(text: string): number {
  let bytes = text.length + 2;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit >= 0x800) bytes += unit >= 0xd800 && unit <= 0xdfff ? 1 : 2;
    else if (unit >= 0x80) bytes += 1;
  }
  return bytes;
}

/** Equal as JSON: the order of an object's keys does not matter. Both must have passed {@link jsonFault}. */
export function jsonEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = Object.entries(a);
  if (left.length !== Object.keys(b).length) return false;
  return left.every(([key, value]) => Object.hasOwn(b, key) && jsonEqual(value, (b as Record<string, unknown>)[key]));
}
