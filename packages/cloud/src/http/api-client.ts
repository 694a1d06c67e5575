/**
 * Calls to one vendor's API with one account: limit, sign, send, classify, repeat. A provider gives each call its words and
 * says what the vendor's refusals mean; everything that all providers must do alike is here.
 */
import { toMillis, type Duration } from "effect/Duration";
import type { Redacted } from "effect/Redacted";
import { CloudFailure, type Without } from "../failure.ts";
import type { ProviderName } from "../provider.ts";
import type { Clock, Random } from "./clock.ts";
import { onSameOrigin } from "./endpoints.ts";
import type { RateLimiter } from "./rate-limiter.ts";
import { redactor, type Redactor } from "./redaction.ts";
import { defaultRetryPolicy, withRetries, type RetryPolicy } from "./retry.ts";
import type { Signer } from "./signer.ts";
import type { HttpRequest, HttpResponse, Method, Outcome, Transport } from "./transport.ts";

export interface ApiCall<A> {
  /** What it is for and its subject, "create server prod-n1": the `op` of every failure. */
  readonly op: string;
  readonly method: Method;
  /** Below the base, with a leading slash; every part that is data is percent-encoded by the caller. */
  readonly path: string;
  readonly query?: readonly (readonly [string, string])[];
  readonly body?: { readonly type: string; readonly bytes: Uint8Array };
  /** What else the vendor wants in the header, by lower-case names: a condition, the name of an action. */
  readonly headers?: Readonly<Record<string, string>>;
  /** May it happen twice without harm? */
  readonly idempotent: boolean;
  /** What in this call is nobody's business, besides the credentials: user data, a private key. */
  readonly confidential?: readonly Redacted[];
  /** Of an answer with status 2xx. Throws a {@link CloudFailure} when it is not what it must be. */
  readonly read: (response: HttpResponse, reading: Reading) => A;
}

/** How a reader says what is wrong with an answer. */
export interface Reading {
  /** Not whole: a proxy or a broken connection. The call may have had its effect. */
  readonly cut: (message: string) => CloudFailure;
  /** Whole, and of another shape than it must have. */
  readonly misshapen: (message: string) => CloudFailure;
}

export interface ApiClientParts {
  readonly provider: ProviderName;
  readonly base: URL;
  readonly signer: Signer;
  readonly transport: Transport;
  readonly limiter: RateLimiter;
  readonly clock: Clock;
  readonly random: Random;
  readonly retry?: RetryPolicy;
  /** What an answer that is not 2xx means. Messages are redacted afterwards. */
  readonly classify: (response: HttpResponse, now: number) => Without<"provider" | "op">;
  /** How many calls the vendor says are left, or null. */
  readonly remaining: (response: HttpResponse) => number | null;
}

export interface ApiClient {
  readonly call: <A>(call: ApiCall<A>, signal: AbortSignal) => Promise<A>;
}

const redirectsMax = 3;

export function makeApiClient(parts: ApiClientParts): ApiClient {
  const pacing = { clock: parts.clock, random: parts.random, policy: parts.retry ?? defaultRetryPolicy };
  return {
    call: (call, signal) => {
      // A token may be fetched within the call, so what is confidential is asked for when something has gone wrong.
      const clean: Redactor = (text) => redactor([...parts.signer.confidential, ...(call.confidential ?? [])])(text);
      return withRetries(pacing, call.idempotent, signal, () => attempt(parts, call, clean, signal));
    },
  };
}

async function attempt<A>(parts: ApiClientParts, call: ApiCall<A>, clean: Redactor, signal: AbortSignal): Promise<A> {
  const fail = (error: Without<"provider" | "op">): CloudFailure =>
    new CloudFailure({ ...error, provider: parts.provider, op: call.op, message: clean(error.message) });
  const first = requestOf(parts.base, call);
  let url = first.url;
  let hasLearned = false;
  for (let redirects = 0; ; redirects += 1) {
    if ((await parts.limiter.take(signal)) === "full") {
      throw fail({ _tag: "Throttled", code: "local_queue_full", message: "too many calls of this account are waiting already" });
    }
    const request = { ...first, url };
    const signed = await parts.signer.sign(request, signal);
    const response = answerOf(await parts.transport.send(signed, signal), fail);
    const remaining = parts.remaining(response);
    if (remaining !== null) parts.limiter.observe(remaining);
    if (response.status >= 200 && response.status < 300) return call.read(response, readingOf(response, fail));
    if (response.status >= 300 && response.status < 400) {
      url = redirected(parts.base, request, response, redirects, fail);
      continue;
    }
    const error = parts.classify(response, parts.clock.now());
    if (error._tag === "Auth" && !hasLearned && parts.signer.learn?.(response, parts.clock.now(), signed) === true) {
      hasLearned = true;
      continue;
    }
    if (error._tag === "Throttled") {
      parts.limiter.holdUntil(parts.clock.now() + (error.retryAfter === undefined ? 1000 : toWholeMs(error.retryAfter)));
    }
    throw fail(error);
  }
}

const toWholeMs = (duration: Duration): number => Math.ceil(toMillis(duration));

function requestOf(base: URL, call: ApiCall<unknown>): HttpRequest {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/$/, "")}${call.path}`;
  for (const [name, value] of call.query ?? []) url.searchParams.append(name, value);
  const headers: Record<string, string> = { accept: "application/json", "user-agent": "aether", ...call.headers };
  if (call.body !== undefined) headers["content-type"] = call.body.type;
  return { method: call.method, url, headers, body: call.body?.bytes ?? null };
}

function answerOf(outcome: Outcome, fail: (error: Without<"provider" | "op">) => CloudFailure): HttpResponse {
  switch (outcome.kind) {
    case "answered":
      return outcome.response;
    case "unanswered": {
      const { maybeApplied, code, message } = outcome;
      throw fail({ _tag: "Transient", maybeApplied, code, message });
    }
    case "oversized":
      throw fail({ _tag: "Protocol", message: `the answer is larger than ${outcome.bytesMax} bytes` });
  }
}

/** Only a read follows a redirect, only a few times, and only to where our credentials belong. */
function redirected(
  base: URL,
  request: HttpRequest,
  response: HttpResponse,
  redirects: number,
  fail: (error: Without<"provider" | "op">) => CloudFailure,
): URL {
  const { status } = response;
  const refuse = (message: string): CloudFailure => fail({ _tag: "Protocol", status, message });
  if (request.method !== "GET") throw refuse(`a ${request.method} was answered with a redirect, which is not followed`);
  if (redirects >= redirectsMax) throw refuse(`more than ${redirectsMax} redirects`);
  const target = onSameOrigin(base, response.headers["location"] ?? "");
  if (target === null) throw refuse(`redirected away from ${base.origin}, where our credentials do not belong`);
  return target;
}

function readingOf(response: HttpResponse, fail: (error: Without<"provider" | "op">) => CloudFailure): Reading {
  const { status } = response;
  return {
    cut: (message) => fail({ _tag: "Transient", maybeApplied: true, status, message }),
    misshapen: (message) => fail({ _tag: "Protocol", status, message }),
  };
}
