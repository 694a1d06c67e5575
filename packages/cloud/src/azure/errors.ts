/** What Azure's refusals mean: Resource Manager, Key Vault and the directory. The code decides, the status only where there is no code. */
import { millis } from "effect/Duration";
import type { Without } from "../failure.ts";
import { parseJson } from "../http/json.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse } from "../http/transport.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;
type Classified = Without<"provider" | "op">;

const groups: readonly (readonly [Meaning, readonly string[]])[] = [
  [
    { _tag: "Throttled" },
    ["TooManyRequests", "SubscriptionRequestsThrottled", "ResourceCollectionRequestsThrottled", "Throttled"],
  ],
  [{ _tag: "Quota" }, ["QuotaExceeded", "ResourceQuotaExceeded", "SubscriptionQuotaExceeded"]],
  [{ _tag: "Capacity" }, ["SkuNotAvailable", "AllocationFailed", "ZonalAllocationFailed", "SubnetIsFull"]],
  [{ _tag: "Capacity" }, ["OverconstrainedAllocationRequest", "OverconstrainedZonalAllocationRequest"]],
  [{ _tag: "Conflict", kind: "busy" }, ["AnotherOperationInProgress", "RetryableError", "OperationPreempted", "Conflict"]],
  [
    { _tag: "Conflict", kind: "busy" },
    ["ConflictingConcurrentWriteNotAllowed", "NicReservedForAnotherVm", "ObjectIsBeingDeleted"],
  ],
  [{ _tag: "Conflict", kind: "busy" }, ["RetryableErrorDueToAnotherOperation", "ObjectIsBeingRecovered"]],
  [{ _tag: "Conflict", kind: "exists" }, ["ObjectIsDeletedButRecoverable"]],
  [{ _tag: "Conflict", kind: "stale" }, ["PreconditionFailed"]],
  [{ _tag: "NotFound", eventual: false }, ["ResourceNotFound", "NotFound", "ResourceGroupNotFound"]],
  [{ _tag: "NotFound", eventual: false }, ["SecretNotFound", "CertificateNotFound", "PendingCertificateNotFound"]],
  [{ _tag: "Auth", kind: "forbidden" }, ["AuthorizationFailed", "LinkedAuthorizationFailed", "Forbidden", "AccessDenied"]],
  [{ _tag: "Auth", kind: "unauthenticated" }, ["InvalidAuthenticationToken", "ExpiredAuthenticationToken", "Unauthorized"]],
  [{ _tag: "Auth", kind: "unauthenticated" }, ["InvalidAuthenticationTokenTenant", "InvalidAuthenticationTokenAudience"]],
  [{ _tag: "Auth", kind: "unauthenticated" }, ["AuthenticationFailed", "AuthenticationFailedInvalidHeader"]],
  [
    { _tag: "Transient", maybeApplied: true },
    ["InternalServerError", "InternalExecutionError", "InternalError", "ServerTimeout"],
  ],
  [{ _tag: "Transient", maybeApplied: true }, ["GatewayTimeout", "ServiceUnavailable", "NetworkingInternalOperationError"]],
];
const meanings: ReadonlyMap<string, Meaning> = new Map(
  groups.flatMap(([meaning, codes]) => codes.map((code) => [code, meaning] as const)),
);

/** As the vendor nests them: a general word outside, the particular ones within. */
export interface AzureError {
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly innererror?: unknown;
}

/** The codes of an error, the outermost first, at most 32 of them. */
function codesOf(error: unknown, found: string[] = []): readonly string[] {
  if (typeof error !== "object" || error === null || found.length >= 32) return found;
  const { code, details, innererror } = error as AzureError;
  if (typeof code === "string" && code !== "") found.push(code);
  for (const inner of [...(Array.isArray(details) ? (details as unknown[]) : []), innererror]) codesOf(inner, found);
  return found;
}

/** The innermost word that is known. OperationNotAllowed is the vendor's word for many things, of which one is a quota. */
function meaningOfCodes(codes: readonly string[], message: string): Meaning | null {
  for (const code of codes.toReversed()) {
    if (code === "OperationNotAllowed" && /quota/i.test(message)) return { _tag: "Quota" };
    if (code.endsWith("CountLimitReached")) return { _tag: "Quota" };
    const known = meanings.get(code);
    if (known !== undefined) return known;
  }
  return null;
}

/** Without the vendor's word it may be a proxy that speaks, or half of an answer: nothing is gone or wrong because of such. */
function byStatus(status: number): Meaning {
  if (status === 401) return { _tag: "Auth", kind: "unauthenticated" };
  if (status === 403) return { _tag: "Auth", kind: "forbidden" };
  if (status === 429) return { _tag: "Throttled" };
  return { _tag: "Transient", maybeApplied: true };
}

/** `{error: {code, message, details: [], innererror: {}}}`. */
export function classifyAzure(response: HttpResponse, now: number): Classified {
  const { status, headers } = response;
  const error = (parseJson(response) as { readonly error?: AzureError } | null | undefined)?.error;
  const codes = codesOf(error);
  const message = typeof error?.message === "string" ? error.message : `HTTP ${status} without an explanation`;
  const requestId = headers["x-ms-request-id"] ?? headers["x-ms-correlation-request-id"];
  const code = codes.findLast((one) => meanings.has(one)) ?? codes[0];
  const context = { status, message, ...(code === undefined ? {} : { code }), ...(requestId === undefined ? {} : { requestId }) };
  // A code that is new to us comes from the vendor all the same: below 500 it has refused, and repeating would not help.
  const byNewCode: Meaning = status < 500 ? { _tag: "Invalid" } : { _tag: "Transient", maybeApplied: true };
  const meaning = codes.length === 0 ? byStatus(status) : (meaningOfCodes(codes, message) ?? byNewCode);
  // The vendor throttles with several words; the status is the same for all.
  return withRetryAfter(status === 429 ? { _tag: "Throttled" } : meaning, context, headers["retry-after"], now);
}

function withRetryAfter(
  meaning: Meaning,
  context: { readonly status: number; readonly message: string },
  retryAfter: string | undefined,
  now: number,
): Classified {
  const wished = meaning._tag === "Throttled" ? retryAfterMs(retryAfter, now) : null;
  return wished === null ? { ...meaning, ...context } : { _tag: "Throttled", ...context, retryAfter: millis(wished) };
}

/** What the failure of an operation means that had been accepted. A word that is new says nothing of what is there now. */
export function classifyOperation(error: AzureError | null | undefined, status: string): Classified {
  const codes = codesOf(error);
  const message = typeof error?.message === "string" ? error.message : `the operation ended as ${status} without an explanation`;
  const code = codes.findLast((one) => meanings.has(one)) ?? codes[0] ?? status;
  return { ...(meaningOfCodes(codes, message) ?? { _tag: "Transient", maybeApplied: true }), code, message };
}

/** The directory's number for an assertion that is not valid yet, or no longer. */
const clockNumber = 700_024;

/** RFC 6749, 5.2, with numbers of the vendor's: `{error, error_description, error_codes: [], trace_id}`. */
export function classifyLogin(response: HttpResponse, now: number): Classified {
  const { status, headers } = response;
  const body = parseJson(response) as Record<string, unknown> | null | undefined;
  const word = body?.["error"];
  const numbers = Array.isArray(body?.["error_codes"]) ? (body["error_codes"] as unknown[]) : [];
  const description = body?.["error_description"];
  const trace = body?.["trace_id"] ?? headers["x-ms-request-id"];
  const context = {
    status,
    message: typeof description === "string" ? description : `HTTP ${status} without an explanation`,
    ...(typeof word === "string" ? { code: typeof numbers[0] === "number" ? `AADSTS${numbers[0]}` : word } : {}),
    ...(typeof trace === "string" ? { requestId: trace } : {}),
  };
  if (status === 429) return withRetryAfter({ _tag: "Throttled" }, context, headers["retry-after"], now);
  if (typeof word !== "string" || status >= 500 || word === "temporarily_unavailable") {
    return { _tag: "Transient", maybeApplied: true, ...context };
  }
  return { _tag: "Auth", kind: numbers.includes(clockNumber) ? "clock" : "unauthenticated", ...context };
}

/** Calls left for the subscription, as far as an answer tells, or null. Counts of single resources are not for all calls. */
export function remainingCalls({ headers }: HttpResponse): number | null {
  const counts = ["reads", "writes", "deletes"].flatMap((kind) => {
    const text = headers[`x-ms-ratelimit-remaining-subscription-${kind}`] ?? "";
    return /^\d{1,9}$/.test(text) ? [Number(text)] : [];
  });
  return counts.length === 0 ? null : Math.min(...counts);
}
