/** What Hetzner's refusals mean. The code decides, the status only where there is no code. */
import { millis } from "effect/Duration";
import type { Without } from "../failure.ts";
import { parseJson } from "../http/json.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse } from "../http/transport.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;

const meanings: Readonly<Record<string, Meaning>> = {
  unauthorized: { _tag: "Auth", kind: "unauthenticated" },
  forbidden: { _tag: "Auth", kind: "forbidden" },
  token_readonly: { _tag: "Auth", kind: "forbidden" },
  rate_limit_exceeded: { _tag: "Throttled" },
  conflict: { _tag: "Conflict", kind: "busy" },
  locked: { _tag: "Conflict", kind: "busy" },
  uniqueness_error: { _tag: "Conflict", kind: "exists" },
  resource_limit_exceeded: { _tag: "Quota" },
  resource_unavailable: { _tag: "Capacity" },
  placement_error: { _tag: "Capacity" },
  not_found: { _tag: "NotFound", eventual: false },
  invalid_input: { _tag: "Invalid" },
  json_error: { _tag: "Invalid" },
  invalid_server_type: { _tag: "Invalid" },
  unsupported_error: { _tag: "Invalid" },
  deprecated_api_endpoint: { _tag: "Invalid" },
  protected: { _tag: "Invalid" },
  service_error: { _tag: "Transient", maybeApplied: true },
  server_error: { _tag: "Transient", maybeApplied: true },
  bad_gateway: { _tag: "Transient", maybeApplied: true },
  timeout: { _tag: "Transient", maybeApplied: true },
  maintenance: { _tag: "Transient", maybeApplied: true },
  unavailable: { _tag: "Transient", maybeApplied: true },
  robot_unavailable: { _tag: "Transient", maybeApplied: true },
};

/**
 * Without the vendor's word it may be a proxy that speaks, or half of an answer. That a thing is not there, or a wish is wrong, is
 * never taken from such: a page that says 404 must not make a server count as gone.
 */
function byStatus(status: number): Meaning {
  if (status === 401) return { _tag: "Auth", kind: "unauthenticated" };
  if (status === 403) return { _tag: "Auth", kind: "forbidden" };
  if (status === 429) return { _tag: "Throttled" };
  return { _tag: "Transient", maybeApplied: true };
}

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly limit: string | null;
}

/** The `error` object of a refusal, or null when there is none that can be read. */
function refusalOf(response: HttpResponse): Refusal | null {
  const body = parseJson(response) as { readonly error?: Record<string, unknown> } | null | undefined;
  const error = body?.error;
  if (typeof error?.["code"] !== "string") return null;
  const details = error["details"] as { readonly limits?: readonly { readonly name?: unknown }[] } | null | undefined;
  const limit = Array.isArray(details?.limits) ? details.limits[0]?.name : undefined;
  const message = typeof error["message"] === "string" ? error["message"] : error["code"];
  return { code: error["code"], message, limit: typeof limit === "string" ? limit : null };
}

/** Hetzner documents no Retry-After; a proxy before it may still send one. RateLimit-Reset is when all is refilled, far too late. */
export function classifyHetzner(response: HttpResponse, now: number): Without<"provider" | "op"> {
  const { status } = response;
  const refusal = refusalOf(response);
  const requestId = response.headers["x-correlation-id"];
  const context = {
    status,
    message: refusal?.message ?? `HTTP ${status} without an explanation`,
    ...(refusal === null ? {} : { code: refusal.code }),
    ...(requestId === undefined ? {} : { requestId }),
  };
  const meaning = meaningOf(refusal, status);
  if (meaning._tag === "Throttled") {
    const wished = retryAfterMs(response.headers["retry-after"], now);
    return wished === null ? { ...meaning, ...context } : { ...meaning, ...context, retryAfter: millis(wished) };
  }
  if (meaning._tag === "Quota" && refusal?.limit != null) return { ...meaning, ...context, limit: refusal.limit };
  return { ...meaning, ...context };
}

/** A code that is new to us comes from the vendor all the same: below 500 it has refused, and repeating would not help. */
function meaningOf(refusal: Refusal | null, status: number): Meaning {
  if (refusal === null) return byStatus(status);
  return meanings[refusal.code] ?? (status < 500 ? { _tag: "Invalid" } : { _tag: "Transient", maybeApplied: true });
}

/** What the failure of an action means: it was accepted, and then could not be done. */
export function classifyAction(error: { readonly code: string; readonly message: string } | null): Without<"provider" | "op"> {
  const { code, message } = error ?? { code: "action_failed", message: "the action failed without saying why" };
  return { ...(meanings[code] ?? { _tag: "Transient", maybeApplied: true }), code, message };
}

/** Calls left in this hour for the account, or null. */
export function remainingCalls(response: HttpResponse): number | null {
  const text = response.headers["ratelimit-remaining"];
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : null;
}
