/** Access tokens for Google's APIs, from whatever the program has been given: a key, a login, another cloud's word, or this machine. */
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import { isSuccess } from "effect/Result";
import * as Schema from "effect/Schema";
import { makeApiClient, type ApiCall, type ApiClient, type ApiClientParts } from "../http/api-client.ts";
import { isLoopback, isMetadataHost } from "../http/endpoints.ts";
import type { Fetched } from "../http/expiring.ts";
import { jsonBody, jsonReader } from "../http/json.ts";
import { signJws } from "../http/jws.ts";
import type { RetryPolicy } from "../http/retry.ts";
import type { Signer } from "../http/signer.ts";
import type { HttpRequest } from "../http/transport.ts";
import { asJson, type GcpCredentials, type ReadFile, type SubjectSource } from "./credentials.ts";
import { classifyGoogle } from "./errors.ts";
import { fault } from "./failure.ts";

/** Where the services that give tokens are: origins, without paths. */
export interface TokenPlaces {
  readonly oauth: URL;
  readonly sts: URL;
  readonly iamcredentials: URL;
  /** Of the machine we run on, never anywhere else. */
  readonly metadata: URL;
}

export interface TokenParts extends Pick<ApiClientParts, "transport" | "limiter" | "clock" | "random"> {
  readonly places: TokenPlaces;
  readonly readFile: ReadFile;
}

const scope = "https://www.googleapis.com/auth/cloud-platform";
/** What an assertion is made for, wherever it is sent: the vendor's own name for its token endpoint. */
const audience = "https://oauth2.googleapis.com/token";
/** The vendor's maximum. */
const assertionSeconds = 3600;
/** A refusal by this much between the clocks is about the clocks. */
const skewMinMs = 60_000;

/** A token is asked for within somebody's call, which is repeated as well. */
const briefly: RetryPolicy = { triesMax: 4, withinMs: 30_000, firstMs: 500, longestMs: 5_000 };

const TokenShape = Schema.Struct({ access_token: Schema.NonEmptyString, expires_in: Schema.Number });
const ImpersonatedShape = Schema.Struct({ accessToken: Schema.NonEmptyString, expireTime: Schema.String });
const readToken = jsonReader(TokenShape);
const decodeToken = Schema.decodeUnknownResult(TokenShape);
const readImpersonated = jsonReader(ImpersonatedShape);

/** Fetches tokens. Its fetches are not shared: that is `makeExpiring`'s part. */
export function tokenFetcher(
  parts: TokenParts,
  credentials: GcpCredentials,
): (signal: AbortSignal) => Promise<Fetched<Redacted>> {
  switch (credentials.type) {
    case "service_account": {
      const client = clientOf(parts, parts.places.oauth, assertionSigner(parts, credentials));
      return (signal) => asked(parts, client, { op: "exchange the key for a token", path: "/token" }, signal);
    }
    case "authorized_user": {
      const { clientId, clientSecret, refreshToken } = credentials;
      const client = clientOf(parts, parts.places.oauth, unsigned);
      const body = form({
        grant_type: "refresh_token",
        client_id: clientId,
        client_secret: reveal(clientSecret),
        refresh_token: reveal(refreshToken),
      });
      const confidential = [clientSecret, refreshToken];
      return (signal) => asked(parts, client, { op: "refresh the login", path: "/token", body, confidential }, signal);
    }
    case "external_account":
      return (signal) => exchanged(parts, credentials, signal);
    case "metadata":
      return async (signal) => {
        const before = parts.clock.now();
        const text = await metadataText(parts, "instance/service-accounts/default/token", signal);
        const token = decodeToken(asJson(text));
        if (isSuccess(token)) return fetchedOf(token.success, before);
        const message = "the metadata service's answer does not have the expected shape";
        throw fault({ _tag: "Protocol", op: "ask the metadata service for a token", message });
      };
  }
}

/** What the credentials are fetched with, and must be seen nowhere. */
export function confidentialOf(credentials: GcpCredentials): readonly Redacted[] {
  if (credentials.type === "service_account") return [credentials.privateKey];
  return credentials.type === "authorized_user" ? [credentials.clientSecret, credentials.refreshToken] : [];
}

/** One text of the metadata service, "project/project-id". */
export const metadataText = (parts: TokenParts, path: string, signal: AbortSignal): Promise<string> =>
  metadataClient(parts)
    .call(
      {
        op: `ask the metadata service for ${path}`,
        method: "GET",
        path: `/computeMetadata/v1/${path}`,
        idempotent: true,
        read: (response, reading) => {
          // Whatever answers at that address outside of GCP does not know this header.
          if (response.headers["metadata-flavor"] !== "Google") throw reading.misshapen("this is not Google's metadata service");
          return Buffer.from(response.body).toString("utf8");
        },
      },
      signal,
    )
    .catch(asNoCredentials);

/** Nobody answers there but on the vendor's own machines, so that is what is most likely wrong. */
function asNoCredentials(failure: unknown): never {
  const error = (failure as { readonly error?: { readonly _tag?: string } }).error;
  if (error?._tag !== "Transient") throw failure;
  const message =
    "no credentials: set GOOGLE_APPLICATION_CREDENTIALS, run gcloud auth application-default login, or run on a machine with a service account";
  throw fault({ _tag: "Auth", kind: "unauthenticated", op: "find credentials", message });
}

const metadataClient = (parts: TokenParts): ApiClient =>
  clientOf(parts, parts.places.metadata, {
    confidential: [],
    sign: (request) => Promise.resolve({ ...request, headers: { ...request.headers, "metadata-flavor": "Google" } }),
  });

const unsigned: Signer = { confidential: [], sign: (request) => Promise.resolve(request) };

const clientOf = ({ transport, limiter, clock, random }: TokenParts, base: URL, signer: Signer): ApiClient =>
  makeApiClient({
    provider: "gcp",
    base,
    signer,
    transport,
    limiter,
    clock,
    random,
    retry: briefly,
    classify: classifyGoogle,
    remaining: () => null,
  });

interface Asking extends Pick<ApiCall<unknown>, "op" | "path"> {
  readonly body?: NonNullable<ApiCall<unknown>["body"]>;
  readonly confidential?: readonly Redacted[];
}

async function asked(parts: TokenParts, client: ApiClient, call: Asking, signal: AbortSignal): Promise<Fetched<Redacted>> {
  const before = parts.clock.now();
  return fetchedOf(await client.call({ ...call, method: "POST", idempotent: true, read: readToken }, signal), before);
}

const fetchedOf = ({ access_token: token, expires_in: seconds }: typeof TokenShape.Type, since: number): Fetched<Redacted> => ({
  value: redact(token),
  expiresAt: since + seconds * 1000,
});

const form = (fields: Readonly<Record<string, string>>) => ({
  type: "application/x-www-form-urlencoded",
  bytes: Buffer.from(new URLSearchParams(fields).toString()),
});

type ServiceAccount = Extract<GcpCredentials, { readonly type: "service_account" }>;

/**
 * Writes the assertion at the moment of sending (RFC 7523). When it is refused, the vendor's Date header tells how far apart the
 * clocks are; from then on assertions have the vendor's time.
 */
function assertionSigner({ clock }: TokenParts, credentials: ServiceAccount): Signer {
  let skewMs = 0;
  return {
    confidential: [credentials.privateKey],
    sign: async (request) => {
      const { type, bytes } = await assertion(credentials, Math.floor((clock.now() + skewMs) / 1000));
      return { ...request, headers: { ...request.headers, "content-type": type }, body: bytes } satisfies HttpRequest;
    },
    learn: (refusal, now) => {
      const theirs = Date.parse(refusal.headers["date"] ?? "");
      if (Number.isNaN(theirs) || Math.abs(theirs - now - skewMs) < skewMinMs) return false;
      skewMs = theirs - now;
      return true;
    },
  };
}

async function assertion({ email, keyId, privateKey }: ServiceAccount, seconds: number) {
  const claims = { iss: email, scope, aud: audience, iat: seconds, exp: seconds + assertionSeconds };
  try {
    const payload = Buffer.from(JSON.stringify(claims));
    const signed = await signJws({ alg: "RS256", typ: "JWT", kid: keyId }, payload, privateKey);
    return form({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion: signed });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const message = "the service account's private_key is no RSA key in PKCS#8";
    throw fault({ _tag: "Auth", kind: "unauthenticated", op: "sign an assertion", message });
  }
}

type External = Extract<GcpCredentials, { readonly type: "external_account" }>;

/** RFC 8693: the word of the workload's own issuer for a token, and that, where it is so set up, for one of a service account. */
async function exchanged(parts: TokenParts, credentials: External, signal: AbortSignal): Promise<Fetched<Redacted>> {
  const subject = await subjectToken(parts, credentials.subject, signal);
  const body = form({
    grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
    audience: credentials.audience,
    scope,
    requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
    subject_token: reveal(subject),
    subject_token_type: credentials.subjectTokenType,
  });
  const path = new URL(credentials.tokenUrl).pathname;
  const call = { op: "exchange the workload's token", path, body, confidential: [subject] };
  const federated = await asked(parts, clientOf(parts, parts.places.sts, unsigned), call, signal);
  if (credentials.impersonate === null) return federated;
  const client = clientOf(parts, parts.places.iamcredentials, {
    confidential: [federated.value],
    sign: (request) =>
      Promise.resolve({ ...request, headers: { ...request.headers, authorization: `Bearer ${reveal(federated.value)}` } }),
  });
  const { accessToken, expireTime } = await client.call(
    {
      op: "act as the service account",
      method: "POST",
      path: new URL(credentials.impersonate).pathname,
      body: jsonBody({ scope: [scope] }),
      idempotent: true,
      read: readImpersonated,
    },
    signal,
  );
  return { value: redact(accessToken), expiresAt: Date.parse(expireTime) };
}

async function subjectToken(parts: TokenParts, source: SubjectSource, signal: AbortSignal): Promise<Redacted> {
  const wrong = (message: string) => fault({ _tag: "Auth", kind: "unauthenticated", op: "read the workload's token", message });
  if (source.from === "file") {
    const text = await parts.readFile(source.path);
    if (text === null) throw wrong(`${source.path} is not there`);
    return fieldIn(text, source.field, wrong);
  }
  const url = URL.canParse(source.url) ? new URL(source.url) : null;
  if (url === null || (url.protocol !== "https:" && !isLoopback(url) && !isMetadataHost(url))) {
    throw wrong("the URL of the workload's token is neither https: nor on this computer");
  }
  const headers = Object.fromEntries(Object.entries(source.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const client = clientOf(parts, new URL(url.origin), {
    confidential: Object.values(headers).map((value) => redact(value)),
    sign: (request) => Promise.resolve({ ...request, headers: { ...request.headers, ...headers } }),
  });
  const text = await client.call(
    {
      op: "read the workload's token",
      method: "GET",
      path: url.pathname,
      query: [...url.searchParams],
      idempotent: true,
      read: (response) => Buffer.from(response.body).toString("utf8"),
    },
    signal,
  );
  return fieldIn(text, source.field, wrong);
}

function fieldIn(text: string, field: string | null, wrong: (message: string) => Error): Redacted {
  if (field === null) return redact(text.trim());
  const json = asJson(text);
  const value = typeof json === "object" && json !== null ? (json as Record<string, unknown>)[field] : undefined;
  if (typeof value !== "string" || value === "") throw wrong(`there is no field ${field} in it`);
  return redact(value);
}
