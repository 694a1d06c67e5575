/** Setting values on the command line: JSON where it is JSON, text where it is not. */
export function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** What a table shows: text as it is, anything else as JSON. */
export const showValue = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
