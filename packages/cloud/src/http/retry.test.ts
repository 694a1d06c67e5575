import { seconds } from "effect/Duration";
import { describe, expect, it } from "vitest";
import { CloudFailure, type Without } from "../failure.ts";
import type { CloudError } from "../provider.ts";
import { seededRandom, VirtualClock } from "../testing/virtual-clock.ts";
import { defaultRetryPolicy, isRepeatable, retryAfterMs, withRetries } from "./retry.ts";

const never = new AbortController().signal;
const error = (rest: Without<"provider" | "op" | "message">): CloudError => ({
  provider: "hetzner",
  op: "test",
  message: "no",
  ...rest,
});
const lost = error({ _tag: "Transient", maybeApplied: true });
const unsent = error({ _tag: "Transient", maybeApplied: false });
const busy = error({ _tag: "Conflict", kind: "busy" });

/** Fails with these in turn, then succeeds. */
async function run(failures: readonly CloudError[], idempotent: boolean) {
  const clock = new VirtualClock(0);
  let tried = 0;
  const attempt = (): Promise<string> => {
    const failure = failures[tried];
    tried += 1;
    return failure === undefined ? Promise.resolve("done") : Promise.reject(new CloudFailure(failure));
  };
  const pacing = { clock, random: seededRandom(1), policy: defaultRetryPolicy };
  const ended = await withRetries(pacing, idempotent, never, attempt).catch((failure: unknown) => {
    if (failure instanceof CloudFailure) return failure.error;
    throw failure;
  });
  return { ended, tried, took: clock.now(), slept: clock.slept };
}

describe("retries", () => {
  it("repeat what had no effect, and what may have it twice", async () => {
    expect(await run([unsent, busy, unsent], false)).toMatchObject({ ended: "done", tried: 4 });
    expect(await run([lost, lost], true)).toMatchObject({ ended: "done", tried: 3 });
  });

  it("never repeat what may have happened and must not happen twice", async () => {
    expect(await run([lost], false)).toMatchObject({ ended: lost, tried: 1, took: 0 });
  });

  it.each<Without<"provider" | "op" | "message">>([
    { _tag: "Quota" },
    { _tag: "Capacity" },
    { _tag: "Invalid" },
    { _tag: "Protocol" },
    { _tag: "NotFound", eventual: true },
    { _tag: "Unsupported", capability: "secrets" },
    { _tag: "Deadline", waitedFor: seconds(1) },
    { _tag: "Auth", kind: "forbidden" },
    { _tag: "Conflict", kind: "exists" },
    { _tag: "Conflict", kind: "stale" },
  ])("leave $_tag alone, for the next try would end the same way", (rest) => {
    expect(isRepeatable(error(rest), true)).toBe(false);
  });

  it("wait as long as the vendor wishes, and grow otherwise, never past the longest", async () => {
    const wished = error({ _tag: "Throttled", retryAfter: seconds(30) });
    expect(await run([wished], false)).toMatchObject({ ended: "done", slept: [30_000] });
    const { slept } = await run(
      Array.from({ length: 7 }, () => busy),
      false,
    );
    const bounds = [500, 1000, 2000, 4000, 8000, 16_000, 20_000];
    expect(slept).toHaveLength(7);
    slept.forEach((ms, at) => {
      expect(ms).toBeGreaterThanOrEqual((bounds[at] ?? 0) / 2);
      expect(ms).toBeLessThanOrEqual(bounds[at] ?? 0);
    });
  });

  it("give up after their tries, and at once when the wait would outlast their time", async () => {
    expect(
      await run(
        Array.from({ length: 20 }, () => unsent),
        true,
      ),
    ).toMatchObject({ ended: unsent, tried: 8 });
    const tooLong = error({ _tag: "Throttled", retryAfter: seconds(300) });
    expect(await run([tooLong], true)).toMatchObject({ ended: tooLong, tried: 1, took: 0 });
  });

  it("read Retry-After in seconds and as a date, and nothing else", () => {
    const now = Date.UTC(2026, 0, 1);
    expect(retryAfterMs("7", now)).toBe(7000);
    expect(retryAfterMs("Thu, 01 Jan 2026 00:00:09 GMT", now)).toBe(9000);
    expect(retryAfterMs("Wed, 31 Dec 2025 00:00:00 GMT", now)).toBe(0);
    expect(retryAfterMs("999999999", now)).toBe(3_600_000);
    expect([retryAfterMs(undefined, now), retryAfterMs("soon", now), retryAfterMs("-5", now)].slice(0, 2)).toEqual([null, null]);
  });
});
