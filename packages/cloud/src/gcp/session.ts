/** One set of credentials and one project: who we are at Google, and the clients of its services. */
import type { Redacted } from "effect/Redacted";
import { makeApiClient, type ApiClient, type ApiClientParts } from "../http/api-client.ts";
import { endpointsFrom, metadataFrom } from "../http/endpoints.ts";
import { makeExpiring } from "../http/expiring.ts";
import type { RateLimiter, RateLimits } from "../http/rate-limiter.ts";
import type { RetryPolicy } from "../http/retry.ts";
import { tokenSigner } from "../http/token-signer.ts";
import { findCredentials, type Env, type GcpCredentials, type ReadFile } from "./credentials.ts";
import { classifyGoogle } from "./errors.ts";
import { fault } from "./failure.ts";
import { confidentialOf, metadataText, tokenFetcher, type TokenParts } from "./tokens.ts";

export interface GcpSession {
  readonly compute: ApiClient;
  readonly secretmanager: ApiClient;
  readonly certificatemanager: ApiClient;
  readonly resourcemanager: ApiClient;
  /** The configured one, else GOOGLE_CLOUD_PROJECT, else the credentials', else the machine's. Fails as Invalid. */
  readonly project: (signal: AbortSignal) => Promise<string>;
  /** As whom we call: an account's name, for people. */
  readonly who: (signal: AbortSignal) => Promise<string>;
}

export interface SessionParts extends Pick<ApiClientParts, "transport" | "clock" | "random"> {
  readonly env: Env;
  readonly project: string | null;
  readonly readFile: ReadFile;
  readonly limiterOf: (account: string, limits: RateLimits) => RateLimiter;
  readonly retry?: RetryPolicy;
}

/** Bases are origins: paths say which service is meant, so one address can stand for all of them. */
const hosts: Readonly<Record<string, string>> = {
  compute: "compute.googleapis.com",
  secretmanager: "secretmanager.googleapis.com",
  certificatemanager: "certificatemanager.googleapis.com",
  resourcemanager: "cloudresourcemanager.googleapis.com",
  oauth: "oauth2.googleapis.com",
  sts: "sts.googleapis.com",
  iamcredentials: "iamcredentials.googleapis.com",
};

/** Compute Engine lets a project read 1,500 times a minute; other programs share that. */
const rateLimits: RateLimits = { burst: 100, perSecond: 15, waitingMax: 1000 };

/** A machine's project does not change; another file of credentials may be put in the old one's place. */
const projectMs = 3_600_000;

/** Throws a CloudFailure Invalid when an endpoint in `env` cannot be used. Nothing is read or sent yet. */
export function makeSession(parts: SessionParts): GcpSession {
  const { env, clock, random, transport, retry } = parts;
  const { base } = endpointsFrom("gcp", env, (service) => `https://${hosts[service] ?? service}`);
  const places = {
    oauth: base("oauth"),
    sts: base("sts"),
    iamcredentials: base("iamcredentials"),
    // The address, not the name: a name would be asked of whatever resolver there is.
    metadata: metadataFrom("gcp", env, "http://169.254.169.254"),
  };
  const limiter = parts.limiterOf(
    `gcp ${base("compute").origin} ${parts.project ?? env["GOOGLE_CLOUD_PROJECT"] ?? ""}`,
    rateLimits,
  );
  const tokenParts: TokenParts = { transport, clock, random, limiter, places, readFile: parts.readFile };
  const credentials = onceLoaded(() => findCredentials(env, parts.readFile));
  const known: { confidential: readonly Redacted[] } = { confidential: [] };
  const tokens = makeExpiring({
    clock,
    fetch: async (signal) => {
      const found = await credentials();
      known.confidential = confidentialOf(found);
      return fetcherOf(found)(signal);
    },
  });
  // Every path has it, and the machine's own is a call away.
  const projects = makeExpiring({
    clock,
    fetch: async (signal) => {
      const value = checkedProject(await projectOf(env, await credentials(), tokenParts, signal));
      return { value, expiresAt: clock.now() + projectMs };
    },
  });
  const fetcherOf = onceFor((found: GcpCredentials) => tokenFetcher(tokenParts, found));
  const signer = tokenSigner(tokens, () => known.confidential);
  const client = (service: string): ApiClient =>
    makeApiClient({
      provider: "gcp",
      base: base(service),
      signer,
      transport,
      limiter,
      clock,
      random,
      ...(retry === undefined ? {} : { retry }),
      classify: classifyGoogle,
      remaining: () => null,
    });
  return {
    compute: client("compute"),
    secretmanager: client("secretmanager"),
    certificatemanager: client("certificatemanager"),
    resourcemanager: client("resourcemanager"),
    project: async (signal) => (parts.project === null ? projects.get(signal) : checkedProject(parts.project)),
    who: async (signal) => whoIs(await credentials(), tokenParts, signal),
  };
}

async function projectOf(env: Env, credentials: GcpCredentials, parts: TokenParts, signal: AbortSignal): Promise<string> {
  const named = env["GOOGLE_CLOUD_PROJECT"] ?? "";
  if (named !== "") return named;
  if (credentials.type === "metadata") return metadataText(parts, "project/project-id", signal);
  if (credentials.project !== null) return credentials.project;
  const message = "no project: say project under [gcp] in cluster.toml, or set GOOGLE_CLOUD_PROJECT";
  throw fault({ _tag: "Invalid", op: "find the project", message });
}

/** It becomes part of paths. A domain's project has its domain before it, "example.com:fleet". */
function checkedProject(project: string): string {
  if (/^([a-z0-9.-]{1,40}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$/.test(project)) return project;
  throw fault({ _tag: "Invalid", op: "find the project", message: `${JSON.stringify(project)} is no id of a project` });
}

async function whoIs(credentials: GcpCredentials, parts: TokenParts, signal: AbortSignal): Promise<string> {
  switch (credentials.type) {
    case "service_account":
      return credentials.email;
    case "authorized_user":
      return "the login of gcloud auth application-default";
    case "external_account":
      return credentials.impersonate === null ? "a federated workload" : serviceAccountIn(credentials.impersonate);
    case "metadata":
      return metadataText(parts, "instance/service-accounts/default/email", signal);
  }
}

const serviceAccountIn = (url: string): string => /serviceAccounts\/([^/:]+):/.exec(url)?.[1] ?? "a service account";

/** Loads once; a failure is not kept. */
function onceLoaded<A>(load: () => Promise<A>): () => Promise<A> {
  let loaded: Promise<A> | null = null;
  return () => {
    loaded ??= load().catch((failure: unknown) => {
      loaded = null;
      throw failure;
    });
    return loaded;
  };
}

/** One result for the one argument that it is called with: what a fetcher learns of the vendor's clock stays learned. */
function onceFor<A, B>(make: (argument: A) => B): (argument: A) => B {
  let made: { readonly argument: A; readonly result: B } | null = null;
  return (argument) => (made?.argument === argument ? made : (made = { argument, result: make(argument) })).result;
}
