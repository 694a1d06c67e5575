/** What Google's refusals mean. Its word decides; the status only where it has none. */
import { millis } from "effect/Duration";
import type { Without } from "../failure.ts";
import { parseJson } from "../http/json.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse } from "../http/transport.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;

const unauthenticated: Meaning = { _tag: "Auth", kind: "unauthenticated" };
const forbidden: Meaning = { _tag: "Auth", kind: "forbidden" };
const lost: Meaning = { _tag: "Transient", maybeApplied: true };
const busy: Meaning = { _tag: "Conflict", kind: "busy" };
const exists: Meaning = { _tag: "Conflict", kind: "exists" };
const stale: Meaning = { _tag: "Conflict", kind: "stale" };
const missing: Meaning = { _tag: "NotFound", eventual: false };

/**
 * Reasons of Compute Engine, reasons of ErrorInfo, statuses of google.rpc, and codes within operations, in one spelling: small
 * letters only. They say the same things in three cases of letters.
 */
const meanings: Readonly<Record<string, Meaning>> = {
  autherror: unauthenticated,
  required: unauthenticated,
  unauthenticated,
  accesstokenexpired: unauthenticated,
  forbidden,
  insufficientpermissions: forbidden,
  accessnotconfigured: forbidden,
  permissiondenied: forbidden,
  permissionserror: forbidden,
  iampermissiondenied: forbidden,
  servicedisabled: forbidden,
  billingdisabled: forbidden,
  billingnotenabled: forbidden,
  accesstokenscopeinsufficient: forbidden,
  ratelimitexceeded: { _tag: "Throttled" },
  userratelimitexceeded: { _tag: "Throttled" },
  concurrentoperationsquotaexceeded: { _tag: "Throttled" },
  resourceoperationrateexceeded: { _tag: "Throttled" },
  operationrateexceeded: { _tag: "Throttled" },
  resourceexhausted: { _tag: "Throttled" },
  quotaexceeded: { _tag: "Quota" },
  limitexceeded: { _tag: "Quota" },
  resourcequotaexceeded: { _tag: "Quota" },
  insufficientcapacity: { _tag: "Capacity" },
  resourcepoolexhausted: { _tag: "Capacity" },
  zoneresourcepoolexhausted: { _tag: "Capacity" },
  zoneresourcepoolexhaustedwithdetails: { _tag: "Capacity" },
  alreadyexists: exists,
  resourcealreadyexists: exists,
  duplicate: exists,
  conditionnotmet: stale,
  preconditionfailed: stale,
  resourcenotready: busy,
  resourceinusebyanotherresource: busy,
  resourceinuse: busy,
  aborted: busy,
  notfound: missing,
  resourcenotfound: missing,
  invalid: { _tag: "Invalid" },
  invalidargument: { _tag: "Invalid" },
  failedprecondition: { _tag: "Invalid" },
  backenderror: lost,
  internalerror: lost,
  internal: lost,
  unavailable: lost,
  deadlineexceeded: lost,
  // RFC 6749, 5.2, and what Google adds.
  invalidgrant: unauthenticated,
  invalidclient: unauthenticated,
  unauthorizedclient: unauthenticated,
  invalidscope: { _tag: "Invalid" },
  invalidrequest: { _tag: "Invalid" },
  accessdenied: forbidden,
  temporarilyunavailable: lost,
  servererror: lost,
  internalfailure: lost,
};

const meaningOfCode = (code: string): Meaning | undefined => {
  const word = code.toLowerCase().replaceAll(/[^a-z]/g, "");
  return Object.hasOwn(meanings, word) ? meanings[word] : undefined;
};

/**
 * Without the vendor's word it may be a proxy that speaks, or half of an answer. That a thing is not there, or a wish is wrong, is
 * never taken from such: a page that says 404 must not make an instance count as gone.
 */
function byStatus(status: number): Meaning {
  if (status === 401) return unauthenticated;
  if (status === 403) return forbidden;
  if (status === 429) return { _tag: "Throttled" };
  return lost;
}

interface Refusal {
  /** The most exact first: a reason, an ErrorInfo's reason, the status's name. */
  readonly codes: readonly string[];
  readonly message: string;
  readonly requestId: string | null;
}

type Loose = Readonly<Record<string, unknown>>;
const asObject = (value: unknown): Loose => (typeof value === "object" && value !== null ? (value as Loose) : {});
const asList = (value: unknown): readonly Loose[] => (Array.isArray(value) ? value.map(asObject) : []);
const texts = (...values: readonly unknown[]): readonly string[] =>
  values.filter((value): value is string => typeof value === "string" && value !== "");

/** The error that an answer holds, or null when it holds none that can be read. */
function refusalOf(response: HttpResponse): Refusal | null {
  const body = asObject(parseJson(response));
  if (typeof body["error"] === "string") {
    const [message = body["error"]] = texts(body["error_description"]);
    return { codes: [body["error"]], message, requestId: null };
  }
  const error = asObject(body["error"]);
  const details = asList(error["details"]);
  const codes = texts(asList(error["errors"])[0]?.["reason"], ...details.map((one) => one["reason"]), error["status"]);
  if (codes.length === 0) return null;
  const [message = codes[0] ?? ""] = texts(error["message"]);
  return { codes, message, requestId: texts(...details.map((one) => one["requestId"]))[0] ?? null };
}

/** Google answers a refusal with a reason of its own, which is the `code` of the failure. */
export function classifyGoogle(response: HttpResponse, now: number): Without<"provider" | "op"> {
  const { status } = response;
  const refusal = refusalOf(response);
  const known = refusal?.codes.find((code) => meaningOfCode(code) !== undefined) ?? refusal?.codes[0];
  const context = {
    status,
    message: refusal?.message ?? `HTTP ${status} without an explanation`,
    ...(known === undefined ? {} : { code: known }),
    ...(refusal?.requestId == null ? {} : { requestId: refusal.requestId }),
  };
  const meaning = status === 429 ? byStatus(status) : meaningOf(known, status);
  if (meaning._tag !== "Throttled") return { ...meaning, ...context };
  const wished = retryAfterMs(response.headers["retry-after"], now);
  return wished === null ? { ...meaning, ...context } : { ...meaning, ...context, retryAfter: millis(wished) };
}

/** A code that is new to us comes from the vendor all the same: below 500 it has refused, and repeating would not help. */
function meaningOf(code: string | undefined, status: number): Meaning {
  if (code === undefined) return byStatus(status);
  const known = meaningOfCode(code);
  if (known !== undefined) return known;
  if (status >= 500) return lost;
  return status === 401 || status === 403 ? byStatus(status) : { _tag: "Invalid" };
}

export interface OperationError {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/**
 * What the failure of an operation means: it was accepted, and then could not be done. Nothing is repeated by itself, so a lack of
 * rate is said to be busy and not to be waited for within the call that is long over.
 */
export function classifyOperation(errors: readonly OperationError[], name: string): Without<"provider" | "op"> {
  const first = errors.find(({ code }) => code !== undefined && meaningOfCode(code) !== undefined) ?? errors[0];
  const code = first?.code ?? "operation_failed";
  const message = first?.message ?? "the operation failed without saying why";
  return { ...(meaningOfCode(code) ?? { _tag: "Invalid" }), code, message, requestId: name };
}
