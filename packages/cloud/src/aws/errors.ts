/** What EC2's refusals mean. Codes: the vendor's "Error codes for the Amazon EC2 API" and botocore's retry tables. */
import type { Without } from "../failure.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse } from "../http/transport.ts";
import { millis } from "effect/Duration";
import { parseAnswer } from "./xml.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;

const groups: readonly (readonly [Meaning, readonly string[]])[] = [
  [
    { _tag: "Throttled" },
    ["Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException"],
  ],
  [
    { _tag: "Throttled" },
    ["TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded", "SlowDown", "EC2ThrottledException"],
  ],
  [{ _tag: "Quota" }, ["VcpuLimitExceeded", "InstanceLimitExceeded", "MaxSpotInstanceCountExceeded", "AddressLimitExceeded"]],
  [{ _tag: "Quota" }, ["VolumeLimitExceeded", "PendingVerification", "TagLimitExceeded"]],
  [
    { _tag: "Capacity" },
    ["InsufficientInstanceCapacity", "InsufficientHostCapacity", "InsufficientFreeAddressesInSubnet", "Unsupported"],
  ],
  [{ _tag: "Auth", kind: "unauthenticated" }, ["AuthFailure", "InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken"]],
  [{ _tag: "Auth", kind: "unauthenticated" }, ["MissingAuthenticationToken", "UnrecognizedClientException", "OptInRequired"]],
  [{ _tag: "Auth", kind: "clock" }, ["RequestExpired", "RequestTimeTooSkewed"]],
  [{ _tag: "Auth", kind: "forbidden" }, ["UnauthorizedOperation", "AccessDenied", "AccessDeniedException", "Blocked"]],
  [{ _tag: "Conflict", kind: "exists" }, ["IdempotentParameterMismatch"]],
  [{ _tag: "Conflict", kind: "busy" }, ["IncorrectInstanceState", "IncorrectState", "ConcurrentTagAccess"]],
  [{ _tag: "NotFound", eventual: false }, ["InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"]],
  [{ _tag: "Transient", maybeApplied: true }, ["InternalError", "InternalFailure", "ServiceUnavailable", "Unavailable"]],
  [{ _tag: "Transient", maybeApplied: true }, ["RequestTimeout", "PriorRequestNotComplete"]],
];
const meanings: ReadonlyMap<string, Meaning> = new Map(
  groups.flatMap(([meaning, codes]) => codes.map((code) => [code, meaning] as const)),
);

/** Without the vendor's word it may be a proxy that speaks, or half of an answer: that a wish is wrong is never taken from such. */
function byStatus(status: number): Meaning {
  if (status === 401) return { _tag: "Auth", kind: "unauthenticated" };
  if (status === 403) return { _tag: "Auth", kind: "forbidden" };
  if (status === 429 || status === 509) return { _tag: "Throttled" };
  return { _tag: "Transient", maybeApplied: true };
}

/** A code that is new to us comes from the vendor all the same: below 500 it has refused, and repeating would not help. */
const byNewCode = (status: number): Meaning => (status < 500 ? { _tag: "Invalid" } : { _tag: "Transient", maybeApplied: true });

/** `<Response><Errors><Error><Code/><Message/></Error></Errors><RequestID/></Response>`. */
export function classifyEc2(response: HttpResponse, now: number): Without<"provider" | "op"> {
  const { status } = response;
  const root = parseAnswer(response.body);
  const error = root?.child("Errors")?.child("Error") ?? null;
  const code = error?.textOf("Code") ?? "";
  const requestId = root?.textOf("RequestID") ?? "";
  const context = {
    status,
    message: error?.textOf("Message") ?? `HTTP ${status} without an explanation`,
    ...(code === "" ? {} : { code }),
    ...(requestId === "" ? {} : { requestId }),
  };
  const meaning = code === "" ? byStatus(status) : (meanings.get(code) ?? byNewCode(status));
  if (meaning._tag === "Throttled") {
    const wished = retryAfterMs(response.headers["retry-after"], now);
    return wished === null ? { ...meaning, ...context } : { ...meaning, ...context, retryAfter: millis(wished) };
  }
  return { ...meaning, ...context };
}
