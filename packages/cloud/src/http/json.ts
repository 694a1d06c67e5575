/** JSON bodies. An answer that is no JSON was cut on its way; one that is JSON of another shape is the vendor's word against ours. */
import { isFailure } from "effect/Result";
import * as Schema from "effect/Schema";
import type { Reading } from "./api-client.ts";
import type { HttpResponse } from "./transport.ts";

export const jsonBody = (value: unknown) => ({
  type: "application/json",
  bytes: Buffer.from(JSON.stringify(value)),
});

/** The body parsed, or undefined when it is no JSON. */
export function parseJson(response: HttpResponse): unknown {
  try {
    return JSON.parse(Buffer.from(response.body).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** Fields that the schema does not name are ignored: vendors add some every month. */
export function jsonReader<S extends Schema.ConstraintDecoder<unknown>>(schema: S) {
  const decode = Schema.decodeUnknownResult(schema);
  return (response: HttpResponse, reading: Reading): S["Type"] => {
    const json = parseJson(response);
    if (json === undefined) throw reading.cut(`the answer is no JSON (${response.body.length} bytes)`);
    const decoded = decode(json);
    if (isFailure(decoded)) throw reading.misshapen(`the answer does not have the expected shape: ${decoded.failure.message}`);
    return decoded.success;
  };
}

/** Of an answer whose body does not matter. */
export const ignoreBody = (): undefined => undefined;
