import { seconds } from "effect/Duration";
import { make } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { describe, expect, it } from "vitest";
import { CloudFailure } from "../failure.ts";
import { seededRandom, VirtualClock } from "../testing/virtual-clock.ts";
import { makeApiClient, type ApiCall } from "./api-client.ts";
import { ignoreBody, jsonBody, jsonReader } from "./json.ts";
import { makeRateLimiter } from "./rate-limiter.ts";
import { bearer, type Signer } from "./signer.ts";
import type { HttpRequest, Outcome } from "./transport.ts";

const token = "t0ken-that-nobody-may-see";
const answer = (status: number, body: string, headers: Record<string, string> = {}): Outcome => ({
  kind: "answered",
  response: { status, headers, body: Buffer.from(body) },
});

/** Answers with these in turn; keeps what was sent. */
function clientOf(outcomes: readonly Outcome[], learn?: Signer["learn"]) {
  const sent: HttpRequest[] = [];
  const clock = new VirtualClock(0);
  const client = makeApiClient({
    provider: "hetzner",
    base: new URL("https://api.vendor.example/v1"),
    signer: { ...bearer(make(token)), ...(learn === undefined ? {} : { learn }) },
    transport: {
      send: (request) => {
        const outcome = outcomes[sent.length];
        sent.push(request);
        return outcome === undefined ? Promise.reject(new Error("one request too many")) : Promise.resolve(outcome);
      },
    },
    limiter: makeRateLimiter({ burst: 10, perSecond: 1, waitingMax: 10 }, clock),
    clock,
    random: seededRandom(7),
    classify: ({ status, body }) =>
      status === 429
        ? { _tag: "Throttled", status, retryAfter: seconds(3), message: "slow down" }
        : status === 401
          ? { _tag: "Auth", kind: "clock", status, message: "what time is it?" }
          : { _tag: "Invalid", status, message: Buffer.from(body).toString() },
    remaining: () => null,
  });
  return { client, sent, clock };
}

const read: ApiCall<{ readonly name: string }> = {
  op: "read thing",
  method: "GET",
  path: "/things/1",
  query: [["label", "a=b,c"]],
  idempotent: true,
  read: jsonReader(Schema.Struct({ name: Schema.String })),
};
const never = new AbortController().signal;
const failureOf = async (done: Promise<unknown>) => {
  const failure = await done.then(
    () => null,
    (error: unknown) => error,
  );
  if (failure instanceof CloudFailure) return failure.error;
  throw failure;
};

describe("a call", () => {
  it("goes to the base with the credentials, and only what the schema names comes back", async () => {
    const { client, sent } = clientOf([answer(200, '{"name":"x","new":1}')]);
    expect(await client.call(read, never)).toEqual({ name: "x" });
    expect(sent[0]?.url.href).toBe("https://api.vendor.example/v1/things/1?label=a%3Db%2Cc");
    expect(sent[0]?.headers["authorization"]).toBe(`Bearer ${token}`);
  });

  it("is repeated when its answer was cut, but not when it has another shape", async () => {
    const cut = clientOf([answer(200, '{"name":"x'), answer(200, '{"name":"x"}')]);
    expect(await cut.client.call(read, never)).toEqual({ name: "x" });
    const misshapen = clientOf([answer(200, '{"name":7}')]);
    expect(await failureOf(misshapen.client.call(read, never))).toMatchObject({
      _tag: "Protocol",
      op: "read thing",
      status: 200,
    });
  });

  it("that must not happen twice is not repeated when its answer was cut", async () => {
    const { client, sent } = clientOf([answer(201, "{")]);
    const create = { ...read, method: "POST" as const, idempotent: false };
    expect(await failureOf(client.call(create, never))).toMatchObject({ _tag: "Transient", maybeApplied: true });
    expect(sent).toHaveLength(1);
  });

  it("waits as long as the vendor wishes", async () => {
    const { client, clock } = clientOf([answer(429, ""), answer(200, '{"name":"x"}')]);
    await client.call({ ...read, idempotent: false }, never);
    expect(clock.now()).toBe(3000);
  });

  it("is made once more when its signer has learned from the refusal, and only once", async () => {
    const whole = answer(200, '{"name":"x"}');
    const learned = clientOf([answer(401, ""), whole], () => true);
    expect(await learned.client.call({ ...read, idempotent: false }, never)).toEqual({ name: "x" });
    expect(learned.clock.now()).toBe(0);
    const stubborn = clientOf([answer(401, ""), answer(401, ""), whole], () => true);
    expect(await failureOf(stubborn.client.call(read, never))).toMatchObject({ _tag: "Auth", kind: "clock" });
    const ignorant = clientOf([answer(401, ""), whole], () => false);
    expect(await failureOf(ignorant.client.call(read, never))).toMatchObject({ _tag: "Auth" });
    expect(ignorant.sent).toHaveLength(1);
  });

  it("follows a redirect of a read on the same origin, with the same credentials", async () => {
    const { client, sent } = clientOf([answer(307, "", { location: "/v2/things/1" }), answer(200, '{"name":"x"}')]);
    await client.call(read, never);
    expect(sent.map(({ url }) => url.pathname)).toEqual(["/v1/things/1", "/v2/things/1"]);
  });

  it.each(["https://evil.example/v1/things/1", "http://api.vendor.example/v1/things/1", ""])(
    "never carries its credentials to %s",
    async (location) => {
      const { client, sent } = clientOf([
        answer(302, "", { location }),
        answer(302, "", { location }),
        answer(302, "", { location }),
      ]);
      const strange = location === "" ? { ...read, method: "POST" as const } : read;
      expect(await failureOf(client.call(strange, never))).toMatchObject({ _tag: "Protocol" });
      expect(sent).toHaveLength(1);
    },
  );

  it("does not go round in circles", async () => {
    const { client, sent } = clientOf(Array.from({ length: 9 }, () => answer(302, "", { location: "/v1/things/1" })));
    expect(await failureOf(client.call(read, never))).toMatchObject({ _tag: "Protocol" });
    expect(sent).toHaveLength(4);
  });

  it("shows neither token nor user data in what the vendor throws back", async () => {
    const userData = "#cloud-config\nruncmd: join --ticket one-time-77aa88bb99";
    const { client } = clientOf([answer(422, `bad request by ${token}: ${JSON.stringify({ user_data: userData })}`)]);
    const create: ApiCall<undefined> = {
      op: "create thing",
      method: "POST",
      path: "/things",
      idempotent: false,
      confidential: [make(userData)],
      body: jsonBody({ user_data: userData }),
      read: ignoreBody,
    };
    const error = await failureOf(client.call(create, never));
    expect(error).toMatchObject({ _tag: "Invalid", status: 422 });
    expect(JSON.stringify(error)).not.toMatch(/t0ken|one-time|77aa/);
    expect(error.message).toContain("bad request by <redacted>");
  });
});
