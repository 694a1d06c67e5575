/** What all keepers of secrets have in common: the grammar of a path, and a field of a value that is JSON. */

/** The path of `${secrets:path@version#field}`. */
export const secretPathGrammar = /^[A-Za-z0-9][A-Za-z0-9_./-]{0,255}$/;

/** A text, or a number or truth as text, at a dotted path in JSON; null when it is no JSON or has no such field. */
export function fieldOf(text: string, field: string): string | null {
  let at: unknown;
  try {
    at = JSON.parse(text);
  } catch {
    return null;
  }
  for (const name of field.split(".")) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return null;
    at = (at as Record<string, unknown>)[name];
  }
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? String(at) : null;
}
