/**
 * How AWS services are spoken to: forms answered in XML (EC2's own dialect and the Query dialect of older services, which differ in
 * their lists and in the element around an answer), and JSON. Names are the vendor's, checked against its service models.
 */
import type { Redacted } from "effect/Redacted";
import { CloudFailure } from "../failure.ts";
import type { ApiCall, ApiClient, Reading } from "../http/api-client.ts";
import type { HttpResponse } from "../http/transport.ts";
import { parseAnswer, type XmlNode } from "./xml.ts";

export type Params = readonly (readonly [string, string])[];

export interface CallTraits {
  /** True unless said: most calls bring about a state. */
  readonly idempotent?: boolean;
  readonly confidential?: readonly Redacted[];
  /** Shown the answer before it is read: its header tells what its body does not. */
  readonly observe?: (response: HttpResponse) => void;
}

/** One action; the answer's root element, or in the Query dialect the element with its result. */
export type FormCaller = (
  action: string,
  subject: string,
  params: Params,
  signal: AbortSignal,
  traits?: CallTraits,
) => Promise<XmlNode>;

export function formCaller(client: ApiClient, dialect: "ec2" | "query", version: string): FormCaller {
  return (action, subject, params, signal, traits = {}) =>
    client.call(
      {
        op: `${action} ${subject}`.trim(),
        method: "POST",
        path: "/",
        headers: { accept: "text/xml" },
        body: { type: "application/x-www-form-urlencoded; charset=utf-8", bytes: formOf(action, version, params) },
        idempotent: traits.idempotent ?? true,
        ...(traits.confidential === undefined ? {} : { confidential: traits.confidential }),
        read: (response, reading) => {
          traits.observe?.(response);
          const root = rootOf(`${action}Response`, response, reading);
          if (dialect === "ec2") return root;
          const result = root.child(`${action}Result`);
          if (result === null) throw reading.misshapen(`the answer holds no ${action}Result`);
          return result;
        },
      },
      signal,
    );
}

/** RFC 3986 percent-encoding, space as %20: the exact bytes that are signed. */
function formOf(action: string, version: string, params: Params): Uint8Array {
  const encode = (text: string): string =>
    encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
  const all: Params = [["Action", action], ["Version", version], ...params];
  return Buffer.from(all.map(([key, value]) => `${encode(key)}=${encode(value)}`).join("&"));
}

function rootOf(name: string, response: HttpResponse, reading: Reading): XmlNode {
  const root = parseAnswer(response.body);
  if (root === null) throw reading.cut(`the answer is no XML (${response.body.length} bytes)`);
  if (root.name !== name) throw reading.misshapen(`the answer is a ${root.name}, not a ${name}`);
  return root;
}

/** `Name.member.1`, `Name.member.2`: a list of the Query dialect. */
export const memberParams = (name: string, values: readonly string[]): Params =>
  values.map((value, at) => [`${name}.member.${at + 1}`, value] as const);

/** An action of a JSON service; what reads its answer is a `jsonReader`, or `ignoreBody`. */
export type JsonCaller = <A>(
  action: string,
  subject: string,
  body: Readonly<Record<string, unknown>>,
  read: ApiCall<A>["read"],
  signal: AbortSignal,
  traits?: CallTraits,
) => Promise<A>;

/** AWS JSON 1.1: the action stands in a header, "secretsmanager.GetSecretValue". */
export function jsonCaller(client: ApiClient, targetPrefix: string): JsonCaller {
  return (action, subject, body, read, signal, traits = {}) =>
    client.call(
      {
        op: `${action} ${subject}`.trim(),
        method: "POST",
        path: "/",
        headers: { "x-amz-target": `${targetPrefix}.${action}` },
        body: { type: "application/x-amz-json-1.1", bytes: Buffer.from(JSON.stringify(body)) },
        idempotent: traits.idempotent ?? true,
        ...(traits.confidential === undefined ? {} : { confidential: traits.confidential }),
        read,
      },
      signal,
    );
}

/** An answer is whole and of the right shape, and still cannot be. */
export const protocol = (op: string, message: string): CloudFailure =>
  new CloudFailure({ _tag: "Protocol", provider: "aws", op, message });
