import { describe, expect, it } from "vitest";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { makeAccountLimits, makeRateLimiter } from "./rate-limiter.ts";

const never = new AbortController().signal;
const limits = { burst: 3, perSecond: 2, waitingMax: 5 };

describe("a rate limiter", () => {
  it("lets a burst go at once and the rest at the rate, in order", async () => {
    const clock = new VirtualClock(0);
    const limiter = makeRateLimiter(limits, clock);
    const went: [number, number][] = [];
    await Promise.all([0, 1, 2, 3, 4].map((at) => limiter.take(never).then(() => went.push([at, clock.now()]))));
    expect(went).toEqual([0, 0, 0, 500, 1000].map((when, at) => [at, when]));
  });

  it("turns away what would make the queue too long", async () => {
    const limiter = makeRateLimiter(limits, new VirtualClock(0));
    const answers = await Promise.all(Array.from({ length: 7 }, () => limiter.take(never)));
    expect(answers).toEqual(["taken", "taken", "taken", "taken", "taken", "full", "full"]);
    expect(await limiter.take(never)).toBe("taken");
  });

  it("believes the vendor, who also counts other processes' calls", async () => {
    const clock = new VirtualClock(0);
    const limiter = makeRateLimiter(limits, clock);
    limiter.observe(0);
    await limiter.take(never);
    expect(clock.now()).toBe(500);
    limiter.observe(1000);
    await limiter.take(never);
    expect(clock.now()).toBe(1000);
  });

  it("holds everybody back after a refusal", async () => {
    const clock = new VirtualClock(0);
    const limiter = makeRateLimiter(limits, clock);
    limiter.holdUntil(4000);
    await Promise.all([limiter.take(never), limiter.take(never)]);
    expect(clock.now()).toBe(4000);
  });

  it("goes on after one who gave up waiting", async () => {
    const clock = new VirtualClock(0);
    const limiter = makeRateLimiter({ ...limits, burst: 1 }, clock);
    await limiter.take(never);
    const impatient = new AbortController();
    const gone = limiter.take(impatient.signal);
    const next = limiter.take(never);
    impatient.abort(new Error("enough"));
    await expect(gone).rejects.toThrow("enough");
    expect(await next).toBe("taken");
  });

  it("is one for each account", () => {
    const limiterOf = makeAccountLimits(new VirtualClock());
    expect(limiterOf("a", limits)).toBe(limiterOf("a", limits));
    expect(limiterOf("a", limits)).not.toBe(limiterOf("b", limits));
  });
});
