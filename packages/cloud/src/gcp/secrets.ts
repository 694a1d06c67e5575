/**
 * Secrets from Secret Manager. Its names have no slash and no dot, so `cluster/db.password` is the secret `cluster-db-password`: each of
 * the two becomes a hyphen.
 */
import { make as redact } from "effect/Redacted";
import type { ApiClient, Reading } from "../http/api-client.ts";
import { jsonReader } from "../http/json.ts";
import type { Secrets, SecretValue } from "../provider.ts";
import { namedSecrets } from "../secrets/named-secrets.ts";
import { crc32c } from "./crc32c.ts";
import { fault } from "./failure.ts";
import { lastPart, SecretShape } from "./shapes.ts";

export interface SecretParts {
  readonly client: ApiClient;
  readonly project: (signal: AbortSignal) => Promise<string>;
}

/** A number, "latest", or a name that a person gave a version. */
const versionGrammar = /^[A-Za-z0-9_-]{1,63}$/;

export const secretName = (path: string): string => path.replaceAll(/[/.]/g, "-");

export const makeSecrets = ({ client, project }: SecretParts): Secrets =>
  namedSecrets({
    provider: "gcp",
    where: "in Secret Manager",
    nameOf: secretName,
    nameGrammar: /^[A-Za-z0-9_-]{1,255}$/,
    alphabet: "letters, digits, _ and -",
    read: async (name, version, signal) => {
      const op = `read secret ${name}`;
      if (version !== null && !versionGrammar.test(version)) {
        throw fault({ _tag: "Invalid", op, message: `${JSON.stringify(version)} is no version` });
      }
      const path = `/v1/projects/${await project(signal)}/secrets/${name}/versions/${version ?? "latest"}:access`;
      return client.call({ op, method: "GET", path, idempotent: true, read: readPayload }, signal);
    },
  });

const readSecret = jsonReader(SecretShape);

function readPayload(response: Parameters<typeof readSecret>[0], reading: Reading): SecretValue {
  const { name, payload } = readSecret(response, withoutText(reading));
  const bytes = Buffer.from(payload.data ?? "", "base64");
  if (payload.dataCrc32c !== undefined && String(crc32c(bytes)) !== String(payload.dataCrc32c)) {
    throw reading.cut("the secret's bytes do not have the checksum that came with them");
  }
  return { value: redact(bytes.toString("utf8")), version: lastPart(name) };
}

/** What is wrong with an answer that holds a secret is told without a word of it. */
const withoutText = (reading: Reading): Reading => ({
  cut: reading.cut,
  misshapen: () => reading.misshapen("the answer does not have the expected shape"),
});
