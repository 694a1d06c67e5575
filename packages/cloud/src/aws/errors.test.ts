import { describe, expect, it } from "vitest";
import { classifyAws, meaningOfCode } from "./errors.ts";

const answer = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
  classifyAws({ status, headers, body: Buffer.from(body) }, 0);

describe("refusals of AWS", () => {
  it.each([
    [
      "EC2's XML",
      "<Response><Errors><Error><Code>VcpuLimitExceeded</Code><Message>no more</Message></Error></Errors><RequestID>r-1</RequestID></Response>",
      {},
    ],
    [
      "the Query services' XML",
      `<ErrorResponse xmlns="http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/"><Error><Type>Sender</Type>
       <Code>VcpuLimitExceeded</Code><Message>no more</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`,
      {},
    ],
    ["JSON", '{"__type":"VcpuLimitExceeded","message":"no more"}', { "x-amzn-requestid": "r-1" }],
    ["JSON with a namespace", '{"__type":"com.amazonaws#VcpuLimitExceeded","Message":"no more"}', { "x-amzn-requestid": "r-1" }],
    [
      "a header",
      '{"message":"no more"}',
      { "x-amzn-errortype": "VcpuLimitExceeded:http://internal.amazon.com/", "x-amzn-requestid": "r-1" },
    ],
  ])("are read from %s", (_, body, headers) => {
    expect(answer(400, body, headers)).toEqual({
      _tag: "Quota",
      status: 400,
      code: "VcpuLimitExceeded",
      message: "no more",
      requestId: "r-1",
    });
  });

  it.each([
    ["InsufficientInstanceCapacity", { _tag: "Capacity" }],
    ["InsufficientFreeAddressesInSubnet", { _tag: "Capacity" }],
    ["MaxSpotInstanceCountExceeded", { _tag: "Quota" }],
    ["TooManyTargets", { _tag: "Quota" }],
    ["LimitExceededException", { _tag: "Quota" }],
    ["ExpiredTokenException", { _tag: "Auth", kind: "unauthenticated" }],
    ["InvalidSignatureException", { _tag: "Auth", kind: "unauthenticated" }],
    ["AccessDeniedException", { _tag: "Auth", kind: "forbidden" }],
    ["ThrottlingException", { _tag: "Throttled" }],
    ["ResourceInUseException", { _tag: "Conflict", kind: "busy" }],
    ["ResourceNotFoundException", { _tag: "NotFound" }],
    ["TargetGroupNotFound", { _tag: "NotFound" }],
    ["InternalServiceError", { _tag: "Transient", maybeApplied: true }],
    ["SomethingNewOfTomorrow", { _tag: "Invalid" }],
  ])("%s have their meaning", (code, meaning) => {
    expect(meaningOfCode(code)).toMatchObject(meaning);
  });

  it("say nothing of what they are about when nobody says a word: it may be a gateway", () => {
    expect(answer(404, "<html>not found</html>")).toMatchObject({ _tag: "Transient", maybeApplied: true });
    expect(answer(400, '{"message":"no word"}')).toMatchObject({ _tag: "Transient", message: "no word" });
    expect(answer(403, "")).toMatchObject({ _tag: "Auth", kind: "forbidden" });
    expect(answer(509, "[]")).toMatchObject({ _tag: "Throttled" });
  });
});
