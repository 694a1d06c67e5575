/**
 * What a machine or a container of the vendor's is given: the credentials of its role, from an address that never leaves the host. The
 * instance's own service is asked in its second version only, whose token a tricked web server cannot get.
 */
import { readFile } from "node:fs/promises";
import { make as redact, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import type { Without } from "../failure.ts";
import { makeApiClient, type ApiClient } from "../http/api-client.ts";
import type { Clock, Random } from "../http/clock.ts";
import { isLoopback, isMetadataHost, metadataFrom } from "../http/endpoints.ts";
import type { Fetched } from "../http/expiring.ts";
import { jsonReader } from "../http/json.ts";
import type { RateLimiter, RateLimits } from "../http/rate-limiter.ts";
import type { RetryPolicy } from "../http/retry.ts";
import type { HttpResponse, Transport } from "../http/transport.ts";
import { keysOf, type AwsCredentials, type Environment } from "./credentials.ts";
import { fault } from "./failure.ts";

export interface MetadataParts {
  readonly env: Environment;
  /** One that gives up soon: where there is no such service nobody answers at all. */
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
}

const retry: RetryPolicy = { triesMax: 3, withinMs: 10_000, firstMs: 100, longestMs: 1_000 };
const limits: RateLimits = { burst: 20, perSecond: 5, waitingMax: 100 };
const tokenSeconds = 21_600;
const op = "find credentials";

const Given = Schema.Struct({
  AccessKeyId: Schema.String,
  SecretAccessKey: Schema.String,
  Token: Schema.String,
  Expiration: Schema.String,
});
const readGiven = jsonReader(Given);

function clientOf({ transport, clock, random, limiterOf }: MetadataParts, base: URL): ApiClient {
  return makeApiClient({
    provider: "aws",
    base,
    signer: { confidential: [], sign: (request) => Promise.resolve(request) },
    transport,
    limiter: limiterOf(`aws metadata ${base.origin}`, limits),
    clock,
    random,
    retry,
    classify,
    remaining: () => null,
  });
}

function classify({ status }: HttpResponse): Without<"provider" | "op"> {
  const message = `the metadata service answered ${status}`;
  if (status === 401 || status === 403) return { _tag: "Auth", kind: "unauthenticated", status, message };
  if (status === 404) return { _tag: "NotFound", eventual: false, status, message };
  if (status === 429) return { _tag: "Throttled", status, message };
  return status >= 500 ? { _tag: "Transient", maybeApplied: false, status, message } : { _tag: "Invalid", status, message };
}

/** The role of the EC2 instance on which this runs: IMDSv2. NotFound when it has none. */
export async function instanceCredentials(parts: MetadataParts, signal: AbortSignal): Promise<Fetched<AwsCredentials>> {
  const client = clientOf(parts, metadataFrom("aws", parts.env, "http://169.254.169.254"));
  const token = await client.call(
    {
      op,
      method: "PUT",
      path: "/latest/api/token",
      headers: { "x-aws-ec2-metadata-token-ttl-seconds": String(tokenSeconds) },
      idempotent: true,
      read: textOf,
    },
    signal,
  );
  const traits = { op, method: "GET", idempotent: true, confidential: [redact(token)] } as const;
  const headers = { "x-aws-ec2-metadata-token": token };
  const folder = "/latest/meta-data/iam/security-credentials/";
  const roles = await client.call({ ...traits, path: folder, headers, read: textOf }, signal);
  const role = (roles.split("\n")[0] ?? "").trim();
  if (role === "") throw fault({ _tag: "NotFound", eventual: false, op, message: "this instance has no role" });
  return sessionOf(
    await client.call({ ...traits, path: `${folder}${encodeURIComponent(role)}`, headers, read: readGiven }, signal),
  );
}

const textOf = (response: HttpResponse): string => Buffer.from(response.body).toString("utf8");

/** Is this a container that is given a role? */
export const isContainer = (env: Environment): boolean =>
  Boolean(env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] || env["AWS_CONTAINER_CREDENTIALS_FULL_URI"]);

/** The role of a task of ECS, or of a pod of EKS. */
export async function containerCredentials(parts: MetadataParts, signal: AbortSignal): Promise<Fetched<AwsCredentials>> {
  const url = containerUrl(parts.env);
  const authorization = await containerToken(parts.env);
  const base = new URL(url.origin);
  return sessionOf(
    await clientOf(parts, base).call(
      {
        op,
        method: "GET",
        path: url.pathname,
        query: [...url.searchParams],
        ...(authorization === null
          ? {}
          : { headers: { authorization: authorization.text }, confidential: [authorization.hidden] }),
        idempotent: true,
        read: readGiven,
      },
      signal,
    ),
  );
}

/** Only to where the vendor has such services, or over TLS: the token that is sent there must not go elsewhere. */
function containerUrl(env: Environment): URL {
  const relative = env["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"];
  if (relative) {
    const base = metadataFrom("aws", env, "http://169.254.170.2");
    const url = new URL(relative, base);
    if (url.origin === base.origin) return url;
    throw fault({ _tag: "Invalid", op, message: "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI leads away from its host" });
  }
  const full = env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] ?? "";
  const refuse = (why: string) => fault({ _tag: "Invalid", op, message: `AWS_CONTAINER_CREDENTIALS_FULL_URI ${why}` });
  if (!URL.canParse(full)) throw refuse("is no URL");
  const url = new URL(full);
  if (url.username !== "" || url.password !== "") throw refuse("holds credentials");
  if (url.protocol === "https:" || (url.protocol === "http:" && (isLoopback(url) || isMetadataHost(url)))) return url;
  throw refuse("is neither https: nor an address of this computer");
}

async function containerToken(env: Environment): Promise<{ readonly text: string; readonly hidden: Redacted } | null> {
  const file = env["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"];
  const text = file ? await tokenIn(file) : env["AWS_CONTAINER_AUTHORIZATION_TOKEN"];
  if (!text) return null;
  if (/[\r\n]/.test(text)) throw fault({ _tag: "Invalid", op, message: "the container's authorization token has several lines" });
  return { text, hidden: redact(text) };
}

/** A token that somebody else writes anew from time to time. */
export async function tokenIn(file: string): Promise<string> {
  try {
    return (await readFile(file, "utf8")).trim();
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    throw fault({ _tag: "Auth", kind: "unauthenticated", op, message: `the token in ${file} cannot be read: ${code}` });
  }
}

function sessionOf(given: typeof Given.Type): Fetched<AwsCredentials> {
  const value = keysOf(given.AccessKeyId, given.SecretAccessKey, given.Token);
  const expiresAt = Date.parse(given.Expiration);
  if (value === null || Number.isNaN(expiresAt)) {
    throw fault({ _tag: "Protocol", op, message: "the metadata service gave credentials that are none" });
  }
  return { value, expiresAt };
}
