/** Building blocks of the cluster file's Schema: what a key's reader wants to know rides on it as an annotation. */
import * as Effect from "effect/Effect";
import * as Schema from "effect/Schema";

/** What a key's reader wants to know. Shown in the docs and, `rule` and `example`, in errors. */
export interface KeyDoc {
  readonly type: "text" | "whole number" | "true or false" | "list of texts";
  readonly doc: string;
  readonly rule: string;
  readonly example: string;
  /** In words, for a key that may be left out. */
  readonly default?: string;
  /** The only keys that may hold `${secrets:…}`, and that are never stored or shown. */
  readonly secret?: true;
  /** A wrong value may hold a password: errors do not repeat it. */
  readonly unshown?: true;
}

export const keyAnnotation = "aether/key";
export const sectionAnnotation = "aether/section";

export const key = <S extends Schema.Top>(schema: S, doc: KeyDoc): S => schema.annotate({ [keyAnnotation]: doc }) as unknown as S;
export const section = <S extends Schema.Top>(schema: S, doc: string): S =>
  schema.annotate({ [sectionAnnotation]: doc }) as unknown as S;
export const word = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }));
export const orDefault = <S extends Schema.Top>(schema: S, value: S["Encoded"]) =>
  schema.pipe(Schema.withDecodingDefaultKey(Effect.succeed(value)));
