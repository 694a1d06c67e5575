/** What the groups of the API's declaration have in common. */
import * as Schema from "effect/Schema";
import * as OpenApi from "effect/http-api/OpenApi";
import { between } from "../kernel/fields.ts";
import { Problems } from "./problem.ts";

export const says = (summary: string, description = "") =>
  OpenApi.annotations(description === "" ? { summary } : { summary, description });

/** A whole number in a query. */
export const wholeNumber = (low: number, high: number) => Schema.NumberFromString.pipe(Schema.decodeTo(between(low, high)));

/** `Idempotency-Key`: the same key gets the first answer again. `If-Match`: refused as `stale` unless the thing has this version. */
const writeHeaders = {
  "idempotency-key": Schema.optionalKey(Schema.String),
  "if-match": Schema.optionalKey(Schema.String),
};
export const write = { headers: writeHeaders, error: Problems } as const;
