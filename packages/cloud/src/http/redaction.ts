/**
 * Keeps confidential text out of what people and logs see. Vendors do repeat what they were sent: a refused user data comes
 * back inside the refusal, sometimes cut off, sometimes encoded.
 */
import { value as reveal, type Redacted } from "effect/Redacted";

export type Redactor = (text: string) => string;

const mask = "<redacted>";
/** Shorter words are no secrets, and masking them would make every message unreadable. */
const wordMin = 12;
const messageMax = 600;

/**
 * Masks the values, whole or in part (each of their words of 12 characters and more), as they are, in JSON, in a URL and in
 * base64; then cuts the text to 600 characters. Cutting comes last, so that no half of a secret is left at the edge.
 */
export function redactor(confidential: readonly Redacted[]): Redactor {
  // Most calls succeed and need none of this.
  let ordered: readonly string[] | null = null;
  return (text) => {
    ordered ??= orderedForms(confidential);
    const masked = ordered.reduce((rest, form) => rest.replaceAll(form, mask), text);
    const plain = masked.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
    return plain.length > messageMax ? `${plain.slice(0, messageMax)}…` : plain;
  };
}

/** The longest first: a word of a value must not break up the value before it is found whole. */
const orderedForms = (confidential: readonly Redacted[]): readonly string[] =>
  [...new Set(confidential.flatMap((secret) => formsOf(reveal(secret))))].sort((a, b) => b.length - a.length);

function formsOf(value: string): readonly string[] {
  if (value === "") return [];
  const words = value.split(/[\s"'`=,;:{}()[\]<>]+/).filter((word) => word.length >= wordMin);
  return [value, ...words].flatMap((text) => [text, ...encoded(text)]);
}

const encoded = (text: string): readonly string[] => [
  JSON.stringify(text).slice(1, -1),
  encodeURIComponent(text),
  // Without the padding and what depends on it, so that it is also found in the middle of a longer text.
  ...[0, 1, 2].flatMap((shift) => base64Core(text, shift)),
];

/** The base64 of a text that begins at byte 0, 1 or 2 of a group of three, without the characters that its neighbours change. */
function base64Core(text: string, shift: number): readonly string[] {
  const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(text)]);
  const core = bytes.toString("base64").slice(shift === 0 ? 0 : shift + 1, Math.floor((bytes.length * 8) / 6));
  return core.length < wordMin ? [] : [core, core.replaceAll("+", "-").replaceAll("/", "_")];
}
