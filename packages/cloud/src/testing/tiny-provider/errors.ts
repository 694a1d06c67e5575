/** What the tiny cloud's refusals mean. */
import { millis } from "effect/Duration";
import type { Without } from "../../failure.ts";
import { parseJson } from "../../http/json.ts";
import { retryAfterMs } from "../../http/retry.ts";
import type { HttpResponse } from "../../http/transport.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;

const meanings: Readonly<Record<string, Meaning>> = {
  bad_key: { _tag: "Auth", kind: "unauthenticated" },
  not_yours: { _tag: "Auth", kind: "forbidden" },
  too_fast: { _tag: "Throttled" },
  name_taken: { _tag: "Conflict", kind: "exists" },
  busy: { _tag: "Conflict", kind: "busy" },
  no_such_machine: { _tag: "NotFound", eventual: false },
  too_many: { _tag: "Quota" },
  full: { _tag: "Capacity" },
  wrong: { _tag: "Invalid" },
  broken: { _tag: "Transient", maybeApplied: true },
};

/** Without the vendor's word it may be a proxy that speaks: nothing counts as gone or as wrong because of it. */
function byStatus(status: number): Meaning {
  if (status === 401 || status === 403) return { _tag: "Auth", kind: status === 401 ? "unauthenticated" : "forbidden" };
  return status === 429 ? { _tag: "Throttled" } : { _tag: "Transient", maybeApplied: true };
}

/** Of an answer that is not 2xx: `{"code": "…", "message": "…"}`. */
export function classifyTiny(response: HttpResponse, now: number): Without<"provider" | "op"> {
  const { status } = response;
  const body = parseJson(response) as { readonly code?: unknown; readonly message?: unknown } | null | undefined;
  const code = typeof body?.code === "string" ? body.code : null;
  const unknown: Meaning = status < 500 ? { _tag: "Invalid" } : { _tag: "Transient", maybeApplied: true };
  const meaning = code === null ? byStatus(status) : (meanings[code] ?? unknown);
  const message = typeof body?.message === "string" ? body.message : `HTTP ${status} without an explanation`;
  const context = { status, message, ...(code === null ? {} : { code }) };
  if (meaning._tag !== "Throttled") return { ...meaning, ...context };
  const wished = retryAfterMs(response.headers["retry-after"], now);
  return wished === null ? { ...meaning, ...context } : { ...meaning, ...context, retryAfter: millis(wished) };
}
