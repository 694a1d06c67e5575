/**
 * Secrets from Secret Manager. Its names have no slash and no dot, so `cluster/db.password` is the secret `cluster-db-password`: each of
 * the two becomes a hyphen. Two paths that become one name are refused, for one of them would get the other's value.
 */
import { make as redact, type Redacted } from "effect/Redacted";
import { asEffect, CloudFailure } from "../failure.ts";
import type { ApiClient, Reading } from "../http/api-client.ts";
import { jsonReader } from "../http/json.ts";
import type { SecretRef, Secrets, SecretValue } from "../provider.ts";
import { fieldOf, secretPathGrammar } from "../secrets/secret-field.ts";
import { crc32c } from "./crc32c.ts";
import { failedAs, fault } from "./failure.ts";
import { lastPart, SecretShape } from "./shapes.ts";

export interface SecretParts {
  readonly client: ApiClient;
  readonly project: (signal: AbortSignal) => Promise<string>;
}

/** Calls at a time. */
const atOnce = 4;
/** A number, "latest", or a name that a person gave a version. */
const versionGrammar = /^[A-Za-z0-9_-]{1,63}$/;

export const secretName = (path: string): string => path.replaceAll(/[/.]/g, "-");

export function makeSecrets(parts: SecretParts): Secrets {
  return {
    resolve: (ref) =>
      asEffect(async (signal) => {
        const [only] = await resolveAll(parts, [ref], signal);
        if (only === undefined) throw new Error("one secret asked for, none resolved");
        return only;
      }),
    resolveAll: (refs) => asEffect((signal) => resolveAll(parts, refs, signal)),
  };
}

const op = "resolve secrets";

interface Payload {
  readonly text: string;
  readonly version: string;
}

async function resolveAll(parts: SecretParts, refs: readonly SecretRef[], signal: AbortSignal): Promise<readonly SecretValue[]> {
  const wrong = refs.flatMap(refFault);
  if (wrong.length > 0) throw fault({ _tag: "Invalid", op, message: [...new Set(wrong)].join("; ") });
  const collision = collidingPaths(refs);
  if (collision !== null) throw fault({ _tag: "Invalid", op, message: collision });
  // A version that is asked for twice is read once, so that both see the same.
  const wanted = [...new Map(refs.map((ref) => [keyOf(ref), ref])).values()];
  const payloads = new Map<string, Payload | null>();
  for (let from = 0; from < wanted.length; from += atOnce) {
    const some = wanted.slice(from, from + atOnce);
    const read = await Promise.all(some.map((ref) => access(parts, ref, signal)));
    some.forEach((ref, at) => payloads.set(keyOf(ref), read[at] ?? null));
  }
  const values = refs.map((ref) => valueOf(ref, payloads.get(keyOf(ref)) ?? null));
  const faults = values.flatMap((one) => ("fault" in one ? [one.fault] : []));
  if (faults.length > 0) throw fault({ _tag: "NotFound", eventual: false, op, message: [...new Set(faults)].join("; ") });
  return values.flatMap((one) => ("value" in one ? [one] : []));
}

const keyOf = ({ path, version = "latest" }: SecretRef): string => `${path}@${version}`;

function refFault({ path, version }: SecretRef): readonly string[] {
  if (!secretPathGrammar.test(path)) return [`${JSON.stringify(path)} is no path of a secret`];
  return version === undefined || versionGrammar.test(version) ? [] : [`${path}: ${JSON.stringify(version)} is no version`];
}

function collidingPaths(refs: readonly SecretRef[]): string | null {
  const paths = new Map<string, string>();
  for (const { path } of refs) {
    const name = secretName(path);
    const other = paths.get(name);
    if (other !== undefined && other !== path) return `${other} and ${path} would both be the secret ${name}; rename one`;
    paths.set(name, path);
  }
  return null;
}

/** Null when there is no such secret or version. */
async function access({ client, project }: SecretParts, ref: SecretRef, signal: AbortSignal): Promise<Payload | null> {
  const path = `/v1/projects/${await project(signal)}/secrets/${secretName(ref.path)}/versions/${ref.version ?? "latest"}:access`;
  try {
    return await client.call({ op: `read secret ${ref.path}`, method: "GET", path, idempotent: true, read: readPayload }, signal);
  } catch (failure) {
    if (failedAs(failure, "NotFound")) return null;
    throw failure;
  }
}

const readSecret = jsonReader(SecretShape);

function readPayload(response: Parameters<typeof readSecret>[0], reading: Reading): Payload {
  const { name, payload } = readSecret(response, withoutText(reading));
  const bytes = Buffer.from(payload.data ?? "", "base64");
  if (payload.dataCrc32c !== undefined && String(crc32c(bytes)) !== String(payload.dataCrc32c)) {
    throw reading.cut("the secret's bytes do not have the checksum that came with them");
  }
  return { text: bytes.toString("utf8"), version: lastPart(name) };
}

/** What is wrong with an answer that holds a secret is told without a word of it. */
const withoutText = (reading: Reading): Reading => ({
  cut: reading.cut,
  misshapen: (): CloudFailure => reading.misshapen("the answer does not have the expected shape"),
});

function valueOf(
  ref: SecretRef,
  payload: Payload | null,
): { readonly value: Redacted; readonly version: string } | { readonly fault: string } {
  const { path, version, field } = ref;
  if (payload === null) {
    const which = version === undefined ? "" : `, version ${version}`;
    return { fault: `${path}: there is no secret ${secretName(path)}${which}` };
  }
  const text = field === undefined ? payload.text : fieldOf(payload.text, field);
  if (text === null) return { fault: `${path}#${field ?? ""}: ${secretName(path)} is no JSON with that field` };
  return { value: redact(text), version: payload.version };
}
