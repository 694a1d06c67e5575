/**
 * How a noun says what its commands and events are: one Schema each, compiled once. Commands are parsed at the edge, where a
 * fault becomes the rejection `invalid` that names every field that is wrong; inside there is nothing left to check.
 */
import * as Result from "effect/Result";
import * as Schema from "effect/Schema";
import * as SchemaIssue from "effect/SchemaIssue";
import { reject, type Command, type CommandType, type Decide, type Rejection } from "./command.ts";
import type { DomainEvent, Role } from "./event.ts";
import { Version } from "./fields.ts";
import type { EventType } from "./noun.ts";

type Fields = Readonly<Record<string, Schema.Codec<unknown, unknown>>>;
type PayloadOf<F extends Fields> = Schema.Struct<F>["Type"];

/** A command of this type as decide gets it: parsed, with no field that the Schema does not name. */
export type CommandOf<F extends Fields> = Command & PayloadOf<F>;

const strict = { errors: "all", onExcessProperty: "error" } as const;
const describe = SchemaIssue.makeFormatterStandardSchemaV1();
const faultsMax = 8;

/** One line per fault: `field "x": expected …`. Never the value itself, which may be a secret. */
export function faultsOf(issue: SchemaIssue.Issue): readonly string[] {
  const faults = describe(issue).issues.map(({ path, message }) => {
    const field = (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    const named = field === "" ? "the whole" : `field "${field}"`;
    if (message === "Missing key") return `${named} is missing`;
    if (message === "Expected no excess property") return `${named} is not known`;
    return `${named}: ${message[0]?.toLowerCase()}${message.slice(1)}`;
  });
  return [...new Set(faults)];
}

/** `id` is the Schema of the thing's id, `fields` those of the rest besides type and ifVersion. */
export function defineCommand<const F extends Fields>(o: {
  readonly type: string;
  readonly roles: readonly Role[];
  readonly id: Schema.Codec<string, string>;
  readonly fields: F;
  readonly decide: Decide<CommandOf<F>>;
}): CommandType {
  const schema = Schema.Struct({ type: Schema.Literal(o.type), id: o.id, ifVersion: Schema.optional(Version), ...o.fields });
  const decode = Schema.decodeUnknownResult(schema as Schema.Codec<Command, unknown>, strict);
  const known = ["id", "ifVersion", ...Object.keys(o.fields)].join(", ");
  const parse = (input: unknown): Command | Rejection => {
    const result = decode(input);
    if (Result.isSuccess(result)) return result.success;
    const faults = faultsOf(result.failure.issue);
    const more = faults.length > faultsMax ? `; and ${faults.length - faultsMax} more` : "";
    return reject("invalid", `${o.type}: ${faults.slice(0, faultsMax).join("; ")}${more}`, `its fields are ${known}`);
  };
  return { type: o.type, roles: o.roles, parse, decide: o.decide as Decide<Command> };
}

/** An event type that can also make its events: {@link of} sets the fields in one order, so that equal facts are equal bytes. */
export interface DefinedEvent<F extends Fields> extends EventType {
  of(id: string, payload: PayloadOf<F>): DomainEvent;
}

/** `of` trusts decide; `parse` is for events from outside, and throws on any that is not exactly this. */
export function defineEvent<const F extends Fields>(o: {
  readonly type: string;
  readonly v: number;
  readonly level: number;
  readonly fields: F;
  readonly upcast?: EventType["upcast"];
}): DefinedEvent<F> {
  const { type, v, level } = o;
  const schema = Schema.Struct({ type: Schema.Literal(type), v: Schema.Literal(v), id: Schema.String, ...o.fields });
  const decode = Schema.decodeUnknownResult(schema as Schema.Codec<DomainEvent, unknown>, strict);
  return {
    type,
    v,
    level,
    upcast: o.upcast ?? {},
    parse: (input) => {
      const result = decode(input);
      if (Result.isSuccess(result)) return result.success;
      throw new Error(`not a ${type} v${v}: ${faultsOf(result.failure.issue).join("; ")}`);
    },
    of: (id, payload) => ({ type, v, id, ...payload }),
  };
}
