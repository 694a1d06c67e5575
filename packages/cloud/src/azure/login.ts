/**
 * Access tokens of Microsoft Entra ID: OAuth 2.0 client credentials by secret, by an assertion that a certificate's key signs, or by
 * another issuer's token; and on a machine of the vendor's from its metadata service.
 */
import { createHash, createPrivateKey, randomUUID, X509Certificate, type KeyObject } from "node:crypto";
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { CloudFailure } from "../failure.ts";
import { makeApiClient, type ApiCall, type ApiClient } from "../http/api-client.ts";
import { endpointsFrom, metadataFrom } from "../http/endpoints.ts";
import { makeExpiring, type Expiring } from "../http/expiring.ts";
import { jsonReader } from "../http/json.ts";
import { defaultRetryPolicy } from "../http/retry.ts";
import type { Signer } from "../http/signer.ts";
import { tokenSigner } from "../http/token-signer.ts";
import type { AzureCredentials } from "./credentials.ts";
import { classifyLogin } from "./errors.ts";
import { failedAs, fault } from "./failure.ts";
import type { AzureOptions, AzureSeams } from "./options.ts";

/** For whom a token is. One for the one is refused by the other. */
export type Audience = "https://management.azure.com" | "https://vault.azure.net";

type LoginParts = Pick<AzureOptions, "credentials" | "env"> &
  Pick<AzureSeams, "transport" | "clock" | "random" | "limiterOf" | "readText">;

const authority = "https://login.microsoftonline.com";
/** The vendor takes an hour at most. */
const assertionMs = 600_000;
/** A refusal by this much more than the difference we already reckon with is about the clocks. */
const skewMinMs = 60_000;
const rateLimits = { burst: 20, perSecond: 5, waitingMax: 1000 };

/** Signs calls with those tokens. */
export function signerOf({ credentials }: LoginParts, tokens: Expiring<Redacted>): Signer {
  const own = credentials.kind === "secret" ? [credentials.secret] : [];
  return tokenSigner(tokens, () => own);
}

/** Who the newest token says that we are; nothing where it is no token that tells. */
export interface TokenClaims {
  readonly application?: string;
  readonly tenant?: string;
}

/** Read for people only: the vendor is the one who judges it. */
export function claimsOf(tokens: Expiring<Redacted>): TokenClaims {
  const [newest] = tokens.recent();
  const claims = newest === undefined ? null : claimsIn(reveal(newest));
  const text = (key: string): string | undefined => (typeof claims?.[key] === "string" ? claims[key] : undefined);
  const [application, tenant] = [text("appid") ?? text("oid"), text("tid")];
  return { ...(application === undefined ? {} : { application }), ...(tenant === undefined ? {} : { tenant }) };
}

function claimsIn(token: string): Record<string, unknown> | null {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    return typeof claims === "object" ? (claims as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

/** Tokens for `audience`, which all of its calls share. */
export function audienceTokens(parts: LoginParts, audience: Audience): Expiring<Redacted> {
  const { credentials, clock } = parts;
  const ask =
    credentials.kind === "managed" ? askMachine(parts, credentials, audience) : askDirectory(parts, credentials, audience);
  return makeExpiring({
    clock,
    fetch: async (signal) => {
      const asked = clock.now();
      const { access_token: token, expires_in: seconds } = await ask(signal);
      return { value: redact(token), expiresAt: asked + Number(seconds) * 1000 };
    },
  });
}

type Ask = (signal: AbortSignal) => Promise<typeof TokenShape.Type>;

/** The metadata service tells the seconds as a text. */
const TokenShape = Schema.Struct({
  access_token: Schema.NonEmptyString,
  expires_in: Schema.Union([Schema.Number, Schema.String.check(Schema.isPattern(/^\d{1,9}$/))]),
});
const readToken = jsonReader(TokenShape);

/** Whoever wants the token repeats; repeating here too would multiply. */
const once = { ...defaultRetryPolicy, triesMax: 1 };

function clientOf(parts: LoginParts, base: URL, signer: Signer): ApiClient {
  const { transport, clock, random } = parts;
  const limiter = parts.limiterOf(`azure ${base.origin} tokens`, rateLimits);
  return makeApiClient({
    provider: "azure",
    base,
    signer,
    transport,
    limiter,
    clock,
    random,
    retry: once,
    classify: classifyLogin,
    remaining: () => null,
  });
}

function askMachine(parts: LoginParts, { client }: AzureCredentials & { kind: "managed" }, audience: Audience): Ask {
  const base = metadataFrom("azure", parts.env, "http://169.254.169.254");
  const api = clientOf(parts, base, { confidential: [], sign: (request) => Promise.resolve(request) });
  const call: ApiCall<typeof TokenShape.Type> = {
    op: "ask the machine for its token",
    method: "GET",
    path: "/metadata/identity/oauth2/token",
    query: [["api-version", "2018-02-01"], ["resource", audience], ...(client === null ? [] : [["client_id", client] as const])],
    headers: { metadata: "true" },
    idempotent: true,
    read: readToken,
  };
  return (signal) => api.call(call, signal).catch(hinted);
}

/** Most often this is no machine of the vendor's at all. */
function hinted(failure: unknown): never {
  if (!failedAs(failure, "Transient") || failure.error.status !== undefined) throw failure;
  const hint =
    "no AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH or AZURE_FEDERATED_TOKEN_FILE is set, so the machine's own identity was asked for; " +
    "the login of the Azure CLI is not read: make a service principal";
  throw new CloudFailure({ ...failure.error, message: `${failure.error.message}; ${hint}` });
}

type PrincipalCredentials = Exclude<AzureCredentials, { kind: "managed" }>;

function askDirectory(parts: LoginParts, credentials: PrincipalCredentials, audience: Audience): Ask {
  const vendor = parts.env["AZURE_AUTHORITY_HOST"] || authority;
  const base = endpointsFrom("azure", parts.env, () => vendor).base("login");
  const path = `/${credentials.tenant}/oauth2/v2.0/token`;
  const api = clientOf(parts, base, formSigner(parts, credentials, audience, `${vendor.replace(/\/+$/, "")}${path}`));
  const form = { type: "application/x-www-form-urlencoded", bytes: new Uint8Array() };
  return (signal) =>
    api.call({ op: "ask for a token", method: "POST", path, body: form, idempotent: true, read: readToken }, signal);
}

/** What proves who we are stands in the form, so that is what is signed: anew for each try, by the vendor's clock. */
function formSigner(parts: LoginParts, credentials: PrincipalCredentials, audience: Audience, tokenUrl: string): Signer {
  let skewMs = 0;
  let assertions: readonly Redacted[] = [];
  return {
    get confidential() {
      return [...(credentials.kind === "secret" ? [credentials.secret] : []), ...assertions];
    },
    sign: async (request) => {
      const form = new URLSearchParams({
        grant_type: "client_credentials",
        client_id: credentials.client,
        scope: `${audience}/.default`,
      });
      if (credentials.kind === "secret") form.set("client_secret", reveal(credentials.secret));
      else {
        const assertion = await assertionOf(parts, credentials, tokenUrl, parts.clock.now() + skewMs);
        assertions = [assertion];
        form.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        form.set("client_assertion", reveal(assertion));
      }
      return { ...request, body: Buffer.from(form.toString()) };
    },
    learn: (refusal, now) => {
      const theirs = Date.parse(refusal.headers["date"] ?? "");
      if (credentials.kind !== "certificate" || Number.isNaN(theirs) || Math.abs(theirs - now - skewMs) < skewMinMs) return false;
      skewMs = theirs - now;
      return true;
    },
  };
}

async function assertionOf(
  { readText }: LoginParts,
  credentials: Exclude<PrincipalCredentials, { kind: "secret" }>,
  tokenUrl: string,
  now: number,
): Promise<Redacted> {
  const op = "ask for a token";
  const unreadable = (why: string) => fault({ _tag: "Auth", kind: "unauthenticated", op, message: `${credentials.path} ${why}` });
  const text = await readText(credentials.path).catch(() => {
    throw unreadable("cannot be read");
  });
  if (credentials.kind === "workload") return redact(text.trim());
  const { key, thumbprint } = keyOf(text, credentials.password, unreadable);
  const { SignJWT } = await import("jose");
  const { client } = credentials;
  const signed = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: "PS256", typ: "JWT", "x5t#S256": thumbprint })
    .setIssuer(client)
    .setSubject(client)
    .setAudience(tokenUrl)
    .setNotBefore(Math.floor(now / 1000))
    .setIssuedAt(Math.floor(now / 1000))
    .setExpirationTime(Math.floor((now + assertionMs) / 1000))
    .sign(key);
  return redact(signed);
}

function keyOf(
  pem: string,
  password: Redacted | null,
  unreadable: (why: string) => CloudFailure,
): { key: KeyObject; thumbprint: string } {
  try {
    const key = createPrivateKey(password === null ? pem : { key: pem, passphrase: reveal(password) });
    const { raw } = new X509Certificate(pem);
    const thumbprint = createHash("sha256").update(raw).digest("base64url");
    if (key.asymmetricKeyType === "rsa") return { key, thumbprint };
  } catch {
    // What the library says of it may repeat parts of the key.
    throw unreadable("is no PEM file with a certificate and its private key (a PFX must be converted)");
  }
  throw unreadable("holds a key that is not RSA, and the directory takes no other");
}
