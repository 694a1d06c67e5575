import { readFileSync } from "node:fs";
import { join } from "node:path";
import { make as redact } from "effect/Redacted";
import { describe, expect, it } from "vitest";
import type { HttpRequest } from "../http/transport.ts";
import { verifySignature } from "../testing/aws/sigv4.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { fixedCredentials } from "./credentials.ts";
import { sigV4Library, sigV4Signer } from "./sigv4-signer.ts";

interface Suite {
  readonly region: string;
  readonly service: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly signingDate: string;
  readonly requests: readonly {
    name: string;
    request: Parameters<ReturnType<typeof sigV4Library>["sign"]>[0];
    authorization: string;
  }[];
}
const suite = JSON.parse(
  readFileSync(join(import.meta.dirname, "../../../../fixtures/cloud-models/aws-sigv4-suite.json"), "utf8"),
) as Suite;

const never = new AbortController().signal;
const start = Date.UTC(2026, 0, 1);
const credentials = (sessionToken: string | null = null) => ({
  accessKeyId: suite.credentials.accessKeyId,
  secretAccessKey: redact(suite.credentials.secretAccessKey),
  sessionToken: sessionToken === null ? null : redact(sessionToken),
});
const signerOf = (clock: VirtualClock, token: string | null = null) =>
  sigV4Signer(fixedCredentials(credentials(token)), "eu-central-1", "ec2", clock);
const request: HttpRequest = {
  method: "POST",
  url: new URL("http://127.0.0.1:4500/"),
  headers: { "content-type": "application/x-www-form-urlencoded", "user-agent": "aether" },
  body: Buffer.from("Action=DescribeInstances&Name=%C3%BC%20x"),
};

describe("signatures", () => {
  it("fit all of the vendor's own suite", async () => {
    const { region, service } = suite;
    const signed = suite.requests.map(async ({ name, request: plain, authorization }) => {
      const { headers } = await sigV4Library(suite.credentials, region, service).sign(plain, {
        signingDate: new Date(suite.signingDate),
      });
      return [name, headers["authorization"] === authorization] as const;
    });
    const results = await Promise.all(signed);
    expect(results).toHaveLength(24);
    expect(results.filter(([, fits]) => !fits)).toEqual([]);
  });

  it("are found right by a second reckoning, and wrong when a byte changes on the way", async () => {
    const signed = await signerOf(new VirtualClock(start)).sign(request, never);
    const verify = (one: HttpRequest) => verifySignature(one, suite.credentials, "eu-central-1", "ec2");
    expect(verify(signed)).toBe(start);
    expect(verify({ ...signed, body: Buffer.from("Action=TerminateInstances") })).toBe("wrong");
    expect(verify({ ...signed, headers: { ...signed.headers, "x-amz-date": "20260101T000001Z" } })).toBe("wrong");
    expect(verify({ ...signed, headers: { ...signed.headers, host: "elsewhere" } })).toBe("wrong");
    expect(verifySignature(signed, suite.credentials, "us-east-1", "ec2")).toBe("wrong");
    expect(verify(request)).toBe("missing");
  });

  it("carry a session's token and sign it", async () => {
    const { headers } = await signerOf(new VirtualClock(start), "session-token").sign(request, never);
    expect(headers["x-amz-security-token"]).toBe("session-token");
    expect(headers["authorization"]).toContain("x-amz-security-token");
  });

  it("follow the vendor's clock once it has said that ours is wrong, and learn nothing from what is no news", async () => {
    const clock = new VirtualClock(start);
    const signer = signerOf(clock);
    const refusal = (date?: string) => ({ status: 400, headers: date === undefined ? {} : { date }, body: Buffer.alloc(0) });
    expect(signer.learn?.(refusal(), clock.now(), request)).toBe(false);
    expect(signer.learn?.(refusal("yesterday"), clock.now(), request)).toBe(false);
    expect(signer.learn?.(refusal(new Date(start + 30_000).toUTCString()), clock.now(), request)).toBe(false);
    const theirs = new Date(start + 900_000).toUTCString();
    expect(signer.learn?.(refusal(theirs), clock.now(), request)).toBe(true);
    expect(signer.learn?.(refusal(theirs), clock.now(), request)).toBe(false);
    expect((await signer.sign(request, never)).headers["x-amz-date"]).toBe("20260101T001500Z");
  });
});
