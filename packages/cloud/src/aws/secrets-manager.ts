/** AWS Secrets Manager (JSON 1.1), the calls that read. */
import { make as redact, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import type { ApiClient } from "../http/api-client.ts";
import { jsonReader } from "../http/json.ts";
import { jsonCaller } from "./wire.ts";

export interface StoredSecret {
  /** Its name, and its ARN. */
  readonly names: readonly string[];
  readonly versionId: string;
  /** Null when it is bytes that are no text. */
  readonly text: Redacted | null;
}

export interface SecretRefusal {
  readonly id: string;
  readonly code: string;
  readonly message: string;
}

export interface SecretsManager {
  readonly get: (id: string, version: string | null, signal: AbortSignal) => Promise<StoredSecret>;
  /** The current versions of at most {@link batchMax}. It answers with success also when some of them could not be read. */
  readonly batch: (
    ids: readonly string[],
    signal: AbortSignal,
  ) => Promise<{ readonly found: readonly StoredSecret[]; readonly refused: readonly SecretRefusal[] }>;
}

/** The vendor's limit. */
export const batchMax = 20;
const pagesMax = 20;

const Value = Schema.Struct({
  ARN: Schema.String,
  Name: Schema.String,
  VersionId: Schema.String,
  SecretString: Schema.optional(Schema.String),
  SecretBinary: Schema.optional(Schema.String),
});
const Refused = Schema.Struct({
  SecretId: Schema.optional(Schema.String),
  ErrorCode: Schema.optional(Schema.String),
  Message: Schema.optional(Schema.String),
});
const Batch = Schema.Struct({
  SecretValues: Schema.optional(Schema.Array(Value)),
  Errors: Schema.optional(Schema.Array(Refused)),
  NextToken: Schema.optional(Schema.String),
});
const readValue = jsonReader(Value);
const readBatch = jsonReader(Batch);

/** An id of 32 to 64 characters names a version; anything shorter is a stage, AWSPREVIOUS or one's own. */
const versionId = /^[A-Za-z0-9-]{32,64}$/;

export function makeSecretsManager(client: ApiClient): SecretsManager {
  const call = jsonCaller(client, "secretsmanager");
  return {
    get: async (id, version, signal) => {
      const chosen = version === null ? {} : { [versionId.test(version) ? "VersionId" : "VersionStage"]: version };
      return storedOf(await call("GetSecretValue", id, { SecretId: id, ...chosen }, readValue, signal));
    },
    batch: async (ids, signal) => {
      const found: StoredSecret[] = [];
      const refused: SecretRefusal[] = [];
      let token: string | undefined;
      for (let pages = 0; pages < pagesMax; pages += 1) {
        const body = { SecretIdList: ids, ...(token === undefined ? {} : { NextToken: token }) };
        const page: typeof Batch.Type = await call("BatchGetSecretValue", ids.join(" "), body, readBatch, signal);
        found.push(...(page.SecretValues ?? []).map(storedOf));
        for (const { SecretId: id = "", ErrorCode: code = "", Message: message = "" } of page.Errors ?? []) {
          refused.push({ id, code, message });
        }
        token = page.NextToken;
        if (token === undefined || token === "") break;
      }
      return { found, refused };
    },
  };
}

function storedOf(value: typeof Value.Type): StoredSecret {
  const { ARN: arn, Name: name, VersionId: version, SecretString: text, SecretBinary: bytes } = value;
  const read = text ?? (bytes === undefined ? null : textOf(Buffer.from(bytes, "base64")));
  return { names: [name, arn], versionId: version, text: read === null ? null : redact(read) };
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
