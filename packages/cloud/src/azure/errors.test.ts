import { toMillis } from "effect/Duration";
import { describe, expect, it } from "vitest";
import { classifyAzure, classifyLogin, classifyOperation, remainingCalls } from "./errors.ts";

const answer = (status: number, body: unknown, headers: Record<string, string> = {}) => ({
  status,
  headers,
  body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)),
});
const meant = (status: number, error: object, headers: Record<string, string> = {}) =>
  classifyAzure(answer(status, { error }, headers), 0);

describe("Azure's refusals", () => {
  it.each<[number, string, object]>([
    [409, "QuotaExceeded", { _tag: "Quota" }],
    [400, "StandardSkuPublicIPCountLimitReached", { _tag: "Quota" }],
    [409, "SkuNotAvailable", { _tag: "Capacity" }],
    [409, "OverconstrainedZonalAllocationRequest", { _tag: "Capacity" }],
    [409, "AnotherOperationInProgress", { _tag: "Conflict", kind: "busy" }],
    [429, "RetryableError", { _tag: "Throttled" }],
    [409, "RetryableError", { _tag: "Conflict", kind: "busy" }],
    [412, "PreconditionFailed", { _tag: "Conflict", kind: "stale" }],
    [404, "ResourceNotFound", { _tag: "NotFound", eventual: false }],
    [404, "SecretNotFound", { _tag: "NotFound" }],
    [403, "AuthorizationFailed", { _tag: "Auth", kind: "forbidden" }],
    [401, "ExpiredAuthenticationToken", { _tag: "Auth", kind: "unauthenticated" }],
    [400, "SomethingNew", { _tag: "Invalid" }],
    [500, "SomethingNew", { _tag: "Transient", maybeApplied: true }],
  ])("mean by %i and %s", (status, code, expected) => {
    expect(meant(status, { code, message: "m" })).toMatchObject({ ...expected, code, status, message: "m" });
  });

  it("mean a quota only where they name one", () => {
    const code = "OperationNotAllowed";
    expect(meant(409, { code, message: "exceeding approved Total Regional Cores quota" })).toMatchObject({ _tag: "Quota" });
    expect(meant(409, { code, message: "the disk is being detached" })).toMatchObject({ _tag: "Invalid" });
  });

  it("mean what is innermost, not the general word around it", () => {
    const error = {
      code: "DeploymentFailed",
      message: "see details",
      details: [{ code: "Conflict" }, { code: "ZonalAllocationFailed" }],
    };
    expect(meant(409, error)).toMatchObject({ _tag: "Capacity", code: "ZonalAllocationFailed" });
    const kept = { code: "Conflict", message: "m", innererror: { code: "ObjectIsDeletedButRecoverable" } };
    expect(meant(409, kept)).toMatchObject({ _tag: "Conflict", kind: "exists", code: "ObjectIsDeletedButRecoverable" });
  });

  it("are no evidence without the vendor's word: a proxy may speak", () => {
    for (const status of [404, 400, 409, 502]) {
      expect(classifyAzure(answer(status, "<html>"), 0)).toMatchObject({ _tag: "Transient", maybeApplied: true });
    }
    expect(classifyAzure(answer(403, ""), 0)).toMatchObject({ _tag: "Auth", kind: "forbidden" });
    expect(classifyAzure(answer(429, ""), 0)).toMatchObject({ _tag: "Throttled" });
  });

  it("carry the vendor's wish to wait, and the name of the request", () => {
    const error = meant(429, { code: "TooManyRequests", message: "m" }, { "retry-after": "17", "x-ms-request-id": "r-1" });
    expect(error).toMatchObject({ _tag: "Throttled", requestId: "r-1" });
    expect(error._tag === "Throttled" && error.retryAfter !== undefined && toMillis(error.retryAfter)).toBe(17_000);
  });

  it("of an operation that had been accepted say nothing certain where the word is new", () => {
    expect(classifyOperation({ code: "AllocationFailed", message: "m" }, "Failed")).toEqual({
      _tag: "Capacity",
      code: "AllocationFailed",
      message: "m",
    });
    expect(classifyOperation({ code: "OSProvisioningTimedOut", message: "m" }, "Failed")).toMatchObject({
      _tag: "Transient",
      maybeApplied: true,
    });
    expect(classifyOperation(null, "Canceled")).toMatchObject({ _tag: "Transient", code: "Canceled" });
  });

  it("of the directory are final, but for its own troubles", () => {
    const said = (status: number, word: string, number: number) =>
      classifyLogin(answer(status, { error: word, error_description: "d", error_codes: [number], trace_id: "t" }), 0);
    expect(said(401, "invalid_client", 7_000_222)).toMatchObject({
      _tag: "Auth",
      kind: "unauthenticated",
      code: "AADSTS7000222",
      requestId: "t",
    });
    expect(said(401, "invalid_client", 700_024)).toMatchObject({ _tag: "Auth", kind: "clock" });
    expect(said(400, "temporarily_unavailable", 90_033)).toMatchObject({ _tag: "Transient" });
    expect(said(503, "server_error", 90_000)).toMatchObject({ _tag: "Transient" });
    expect(classifyLogin(answer(404, "<html>"), 0)).toMatchObject({ _tag: "Transient" });
    expect(classifyLogin(answer(429, {}), 0)).toMatchObject({ _tag: "Throttled" });
  });
});

it("Azure's counts of calls left are for the subscription, not those of one kind of thing", () => {
  const left = (headers: Record<string, string>) => remainingCalls(answer(200, "", headers));
  expect(left({ "x-ms-ratelimit-remaining-subscription-writes": "199" })).toBe(199);
  expect(
    left({ "x-ms-ratelimit-remaining-subscription-reads": "12000", "x-ms-ratelimit-remaining-subscription-deletes": "7" }),
  ).toBe(7);
  expect(left({ "x-ms-ratelimit-remaining-resource": "Microsoft.Compute/PutVM3Min;3" })).toBeNull();
  expect(left({ "x-ms-ratelimit-remaining-subscription-reads": "many" })).toBeNull();
});
