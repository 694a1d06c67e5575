/**
 * What AWS's refusals mean, of all services that are called. Codes: the vendor's error lists of EC2, ELB, STS, Secrets Manager and ACM,
 * and botocore's retry tables.
 */
import { millis } from "effect/Duration";
import type { Without } from "../failure.ts";
import { parseJson } from "../http/json.ts";
import { retryAfterMs } from "../http/retry.ts";
import type { HttpResponse } from "../http/transport.ts";
import { parseAnswer } from "./xml.ts";

type Meaning = Without<"provider" | "op" | "message" | "code" | "status" | "requestId">;

const groups: readonly (readonly [Meaning, string])[] = [
  [
    { _tag: "Throttled" },
    `Throttling ThrottlingException ThrottledException RequestThrottled RequestThrottledException TooManyRequestsException
     RequestLimitExceeded BandwidthLimitExceeded SlowDown EC2ThrottledException TransactionInProgressException
     ProvisionedThroughputExceededException`,
  ],
  [
    { _tag: "Quota" },
    // LimitExceededException is a throttle elsewhere (botocore's table); ACM and Secrets Manager mean a quota by it.
    `VcpuLimitExceeded InstanceLimitExceeded MaxSpotInstanceCountExceeded AddressLimitExceeded VolumeLimitExceeded
     MaxIOPSLimitExceeded NetworkInterfaceLimitExceeded PrivateIpAddressLimitExceeded SecurityGroupsPerInstanceLimitExceeded
     ResourceLimitExceeded PendingVerification TagLimitExceeded TooManyTagsException TooManyTargets
     TooManyRegistrationsForTargetId LimitExceededException`,
  ],
  [
    { _tag: "Capacity" },
    `InsufficientInstanceCapacity InsufficientHostCapacity InsufficientCapacity InsufficientCapacityOnHost
     InsufficientReservedInstanceCapacity ReservationCapacityExceeded InsufficientFreeAddressesInSubnet
     InsufficientAddressCapacity InsufficientVolumeCapacity SpotMaxPriceTooLow Unsupported UnfulfillableCapacity`,
  ],
  [
    { _tag: "Auth", kind: "unauthenticated" },
    `AuthFailure InvalidClientTokenId SignatureDoesNotMatch InvalidSignatureException IncompleteSignature ExpiredToken
     ExpiredTokenException MissingAuthenticationToken MissingAuthenticationTokenException UnrecognizedClientException
     OptInRequired InvalidIdentityToken IDPRejectedClaim`,
  ],
  [{ _tag: "Auth", kind: "clock" }, "RequestExpired RequestTimeTooSkewed"],
  [
    { _tag: "Auth", kind: "forbidden" },
    `UnauthorizedOperation AccessDenied AccessDeniedException UnauthorizedAccess OperationNotPermitted NotAuthorized Blocked
     DecryptionFailure`,
  ],
  [{ _tag: "Conflict", kind: "exists" }, "IdempotentParameterMismatch"],
  [
    { _tag: "Conflict", kind: "busy" },
    `IncorrectInstanceState IncorrectState ConcurrentTagAccess ResourceInUse ResourceInUseException RequestInProgressException
     ConflictException`,
  ],
  [
    { _tag: "NotFound", eventual: false },
    `InvalidInstanceID.NotFound InvalidInstanceID.Malformed TargetGroupNotFound ResourceNotFoundException InvalidArnException`,
  ],
  [
    { _tag: "Transient", maybeApplied: true },
    `InternalError InternalFailure InternalServiceError ServiceUnavailable ServiceUnavailableException Unavailable
     RequestTimeout RequestTimeoutException PriorRequestNotComplete IDPCommunicationError`,
  ],
];
const meanings: ReadonlyMap<string, Meaning> = new Map(
  groups.flatMap(([meaning, codes]) => codes.split(/\s+/).map((code) => [code, meaning] as const)),
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

/** Of a code that stands inside of an answer that is a success as a whole. */
export const meaningOfCode = (code: string): Meaning => meanings.get(code) ?? byNewCode(400);

interface Refusal {
  readonly code: string;
  readonly message: string | null;
  readonly requestId: string;
}

/** The vendor's own words, in whichever of its forms they come; "" where there are none. */
function refusalOf(response: HttpResponse): Refusal {
  const given = response.headers["x-amzn-requestid"] ?? "";
  const root = parseAnswer(response.body);
  if (root !== null) {
    // EC2: Response/Errors/Error and RequestID. Query: ErrorResponse/Error and RequestId.
    const error = root.child("Errors")?.child("Error") ?? root.child("Error");
    const requestId = root.textOf("RequestID") || root.textOf("RequestId") || given;
    return { code: error?.textOf("Code") ?? "", message: error?.textOf("Message") ?? null, requestId };
  }
  const json = parseJson(response);
  const body = typeof json === "object" && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
  // "Name", "namespace#Name" or "Name:address".
  const named = typeof body["__type"] === "string" ? body["__type"] : (response.headers["x-amzn-errortype"] ?? "");
  const message = [body["message"], body["Message"]].find((text) => typeof text === "string");
  return { code: (named.split("#").at(-1) ?? "").split(":")[0] ?? "", message: message ?? null, requestId: given };
}

/** The vendor's word for what is wrong, "" where it says none. */
export const refusalCode = (response: HttpResponse): string => refusalOf(response).code;

export function classifyAws(response: HttpResponse, now: number): Without<"provider" | "op"> {
  const { status } = response;
  const { code, message, requestId } = refusalOf(response);
  const context = {
    status,
    message: message ?? `HTTP ${status} without an explanation`,
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
