/**
 * Application default credentials, where the vendor's own tools look for them: the file that GOOGLE_APPLICATION_CREDENTIALS names,
 * the one that `gcloud auth application-default login` writes, and else the metadata service of the machine we run on. Between the
 * first two, for where there is an environment and no file, a file's text in GOOGLE_APPLICATION_CREDENTIALS_JSON.
 */
import { join } from "node:path";
import { make as redact, type Redacted } from "effect/Redacted";
import { isSuccess } from "effect/Result";
import * as Schema from "effect/Schema";
import { fault } from "./failure.ts";

export type Env = Readonly<Record<string, string | undefined>>;
/** The text of a file, or null when there is none. Rejects when it cannot be read. */
export type ReadFile = (path: string) => Promise<string | null>;

/** From where a workload proves to its own issuer's who it is. */
export type SubjectSource =
  | { readonly from: "file"; readonly path: string; readonly field: string | null }
  | {
      readonly from: "url";
      readonly url: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly field: string | null;
    };

export type GcpCredentials =
  | {
      readonly type: "service_account";
      readonly email: string;
      readonly keyId: string;
      readonly privateKey: Redacted;
      readonly tokenUri: string;
      readonly project: string | null;
    }
  | {
      readonly type: "authorized_user";
      readonly clientId: string;
      readonly clientSecret: Redacted;
      readonly refreshToken: Redacted;
      readonly project: string | null;
    }
  | {
      readonly type: "external_account";
      readonly audience: string;
      readonly subjectTokenType: string;
      readonly tokenUrl: string;
      readonly subject: SubjectSource;
      /** As which service account, when the workload itself has no permissions. */
      readonly impersonate: string | null;
      readonly project: string | null;
    }
  | { readonly type: "metadata" };

const op = "find credentials";
const wrong = (message: string) => fault({ _tag: "Auth", kind: "unauthenticated", op, message });

/** Fails as Auth with what to do about it; what is in the file is not repeated. */
export async function findCredentials(env: Env, readFile: ReadFile): Promise<GcpCredentials> {
  const named = env["GOOGLE_APPLICATION_CREDENTIALS"] ?? "";
  if (named !== "") {
    const text = await readFile(named);
    if (text === null) throw wrong(`GOOGLE_APPLICATION_CREDENTIALS names ${named}, which is not there`);
    return parseCredentials(named, text);
  }
  const given = env["GOOGLE_APPLICATION_CREDENTIALS_JSON"] ?? "";
  if (given !== "") return parseCredentials("GOOGLE_APPLICATION_CREDENTIALS_JSON", given);
  const path = wellKnownPath(env);
  const text = path === null ? null : await readFile(path);
  return path === null || text === null ? { type: "metadata" } : parseCredentials(path, text);
}

/** Where gcloud keeps them; null where there is no home. */
function wellKnownPath(env: Env): string | null {
  const { CLOUDSDK_CONFIG: config = "", HOME: home = "" } = env;
  const folder = config !== "" ? config : home === "" ? null : join(home, ".config", "gcloud");
  return folder === null ? null : join(folder, "application_default_credentials.json");
}

const Optional = Schema.optional(Schema.NullOr(Schema.String));
const Text = Schema.NonEmptyString;
const ServiceAccount = Schema.Struct({
  type: Schema.Literal("service_account"),
  client_email: Text,
  private_key_id: Text,
  private_key: Text,
  token_uri: Text,
  project_id: Optional,
});
const AuthorizedUser = Schema.Struct({
  type: Schema.Literal("authorized_user"),
  client_id: Text,
  client_secret: Text,
  refresh_token: Text,
  quota_project_id: Optional,
});
const ExternalAccount = Schema.Struct({
  type: Schema.Literal("external_account"),
  audience: Text,
  subject_token_type: Text,
  token_url: Text,
  service_account_impersonation_url: Optional,
  quota_project_id: Optional,
  credential_source: Schema.Struct({
    file: Optional,
    url: Optional,
    headers: Schema.optional(Schema.Record(Schema.String, Schema.String)),
    format: Schema.optional(Schema.Struct({ type: Optional, subject_token_field_name: Optional })),
  }),
});
const Any = Schema.Struct({ type: Schema.String });

const decodeAny = Schema.decodeUnknownResult(Any);
const decodeServiceAccount = Schema.decodeUnknownResult(ServiceAccount);
const decodeUser = Schema.decodeUnknownResult(AuthorizedUser);
const decodeExternal = Schema.decodeUnknownResult(ExternalAccount);

/** `path` is only for messages. Exported for tests. */
export function parseCredentials(path: string, text: string): GcpCredentials {
  const json = asJson(text);
  const any = decodeAny(json);
  if (!isSuccess(any)) throw wrong(`${path} is no credentials file: no JSON with a type`);
  switch (any.success.type) {
    case "service_account": {
      const read = decodeServiceAccount(json);
      if (!isSuccess(read)) throw wrong(`${path} is no whole service account key; make a new one`);
      const {
        client_email: email,
        private_key_id: keyId,
        private_key: key,
        token_uri: tokenUri,
        project_id: project,
      } = read.success;
      if (!isGoogles(tokenUri, keyIssuers))
        throw wrong(`${path} has a token_uri that is not Google's, where the key would be used`);
      return { type: "service_account", email, keyId, privateKey: redact(key), tokenUri, project: project ?? null };
    }
    case "authorized_user": {
      const read = decodeUser(json);
      if (!isSuccess(read)) throw wrong(`${path} is no whole login; run: gcloud auth application-default login`);
      const { client_id: clientId, client_secret: secret, refresh_token: token, quota_project_id: project } = read.success;
      return {
        type: "authorized_user",
        clientId,
        clientSecret: redact(secret),
        refreshToken: redact(token),
        project: project ?? null,
      };
    }
    case "external_account":
      return parseExternal(path, json);
    default:
      throw wrong(
        `${path} has type ${JSON.stringify(any.success.type)}; known are service_account, authorized_user and external_account`,
      );
  }
}

const keyIssuers: ReadonlySet<string> = new Set([
  "https://oauth2.googleapis.com",
  "https://accounts.google.com",
  "https://www.googleapis.com",
]);
const tokenExchanges: ReadonlySet<string> = new Set(["https://sts.googleapis.com"]);
const impersonators: ReadonlySet<string> = new Set(["https://iamcredentials.googleapis.com"]);

const isGoogles = (text: string, origins: ReadonlySet<string>): boolean =>
  URL.canParse(text) && origins.has(new URL(text).origin) && new URL(text).username === "";

function parseExternal(path: string, json: unknown): GcpCredentials {
  const read = decodeExternal(json);
  if (!isSuccess(read)) throw wrong(`${path} is no whole workload identity configuration; make it anew with gcloud`);
  const account = read.success;
  const { audience, subject_token_type: subjectTokenType, token_url: tokenUrl, credential_source: source } = account;
  if (!isGoogles(tokenUrl, tokenExchanges)) throw wrong(`${path} has a token_url that is not Google's`);
  const impersonate = account.service_account_impersonation_url ?? null;
  if (impersonate !== null && !isGoogles(impersonate, impersonators)) {
    throw wrong(`${path} has a service_account_impersonation_url that is not Google's`);
  }
  const field = source.format?.type === "json" ? (source.format.subject_token_field_name ?? null) : null;
  const project = account.quota_project_id ?? null;
  const subject: SubjectSource | null =
    source.file != null
      ? { from: "file", path: source.file, field }
      : source.url != null
        ? { from: "url", url: source.url, headers: source.headers ?? {}, field }
        : null;
  if (subject === null) {
    const message = `${path}: workload identity from a file or a URL is known; for others use a service account key or run on GCP`;
    throw fault({ _tag: "Unsupported", capability: "compute", op, message });
  }
  return { type: "external_account", audience, subjectTokenType, tokenUrl, subject, impersonate, project };
}

/** Undefined for what is no JSON. */
export function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
