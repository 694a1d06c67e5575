import { make as redact, type Redacted } from "effect/Redacted";
import { beforeEach, describe, expect, it } from "vitest";
import { CloudFailure } from "../failure.ts";
import { VirtualClock } from "../testing/virtual-clock.ts";
import { makeExpiring, type Expiring, type Fetched } from "./expiring.ts";
import { tokenSigner } from "./token-signer.ts";
import type { HttpRequest } from "./transport.ts";

const alone = new AbortController().signal;
const minutes = (count: number): number => count * 60_000;

describe("a value that expires", () => {
  let clock: VirtualClock;
  let fetches: number;
  let lifeMs: number;
  let broken: Error | null;
  let values: Expiring<string>;
  beforeEach(() => {
    [clock, fetches, lifeMs, broken] = [new VirtualClock(), 0, minutes(60), null];
    values = makeExpiring({ clock, fetch: fetchOne });
  });
  const fetchOne = async (signal: AbortSignal): Promise<Fetched<string>> => {
    fetches += 1;
    const value = `value ${fetches}`;
    await clock.sleep(50, signal);
    if (broken !== null) throw broken;
    return { value, expiresAt: clock.now() + lifeMs };
  };

  it("is fetched once for all who ask meanwhile, and kept", async () => {
    expect(await Promise.all([1, 2, 3].map(() => values.get(alone)))).toEqual(["value 1", "value 1", "value 1"]);
    clock.advance(minutes(54));
    expect(await values.get(alone)).toBe("value 1");
    expect(fetches).toBe(1);
  });

  it("is replaced five minutes before its end", async () => {
    await values.get(alone);
    clock.advance(minutes(55));
    expect(await values.get(alone)).toBe("value 2");
    expect(values.recent()).toEqual(["value 2", "value 1"]);
  });

  it("serves half of its life when that is shorter than ten minutes", async () => {
    lifeMs = minutes(4);
    await values.get(alone);
    clock.advance(minutes(1.9));
    expect(await values.get(alone)).toBe("value 1");
    clock.advance(minutes(0.2));
    expect(await values.get(alone)).toBe("value 2");
  });

  it("serves to its very end when no newer one is to be had, and not beyond", async () => {
    await values.get(alone);
    broken = new Error("no answer");
    clock.advance(minutes(57));
    expect(await values.get(alone)).toBe("value 1");
    clock.advance(minutes(3));
    await expect(values.get(alone)).rejects.toThrow("no answer");
  });

  it("fails alike for all who ask within a second, then asks again", async () => {
    broken = new Error("no answer");
    const asked = await Promise.allSettled([1, 2, 3].map(() => values.get(alone)));
    expect(asked.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    await expect(values.get(alone)).rejects.toThrow("no answer");
    expect(fetches).toBe(1);
    broken = null;
    clock.advance(1_000);
    expect(await values.get(alone)).toBe("value 2");
  });

  it("is fetched anew when it was refused, once however many refusals come", async () => {
    const old = await values.get(alone);
    values.drop(old);
    values.drop(old);
    expect(await Promise.all([values.get(alone), values.get(alone)])).toEqual(["value 2", "value 2"]);
    values.drop(old);
    expect(await values.get(alone)).toBe("value 2");
    expect(fetches).toBe(2);
  });

  it("is still fetched for the others when one of them leaves, and called off when all have left", async () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const asked = [values.get(one.signal), values.get(two.signal)];
    one.abort(new Error("left"));
    await expect(asked[0]).rejects.toThrow("left");
    expect(await asked[1]).toBe("value 1");
    values.drop("value 1");
    const third = new AbortController();
    const last = values.get(third.signal);
    third.abort(new Error("left"));
    await expect(last).rejects.toThrow("left");
    // What was called off answers nobody who comes later.
    expect(await values.get(alone)).toBe("value 3");
  });
});

describe("a signer with tokens that expire", () => {
  const request: HttpRequest = { method: "GET", url: new URL("https://vendor.test/x"), headers: {}, body: null };
  const refusal = (status: number) => ({ status, headers: {}, body: Buffer.alloc(0) });
  let count = 0;
  const open = (fetch?: () => Promise<Fetched<Redacted>>) => {
    const clock = new VirtualClock();
    count = 0;
    const fresh = (): Promise<Fetched<Redacted>> => {
      count += 1;
      return Promise.resolve({ value: redact(`token-${count}`), expiresAt: clock.now() + minutes(60) });
    };
    return tokenSigner(makeExpiring({ clock, fetch: fetch ?? fresh }), () => [redact("the key")]);
  };

  it("drops the token that was refused, not the one that came after it", async () => {
    const signer = open();
    const old = await signer.sign(request, alone);
    expect(old.headers["authorization"]).toBe("Bearer token-1");
    expect(signer.learn?.(refusal(403), 0, old)).toBe(false);
    expect(signer.learn?.(refusal(401), 0, old)).toBe(true);
    expect((await signer.sign(request, alone)).headers["authorization"]).toBe("Bearer token-2");
    expect(signer.learn?.(refusal(401), 0, old)).toBe(true);
    expect((await signer.sign(request, alone)).headers["authorization"]).toBe("Bearer token-2");
    expect(signer.confidential).toHaveLength(3);
  });

  it("says that the call was not made when there was no token to be had", async () => {
    const error = { _tag: "Transient", maybeApplied: true, provider: "gcp", op: "token", message: "lost" } as const;
    const signer = open(() => Promise.reject(new CloudFailure(error)));
    await expect(signer.sign(request, alone)).rejects.toMatchObject({ error: { ...error, maybeApplied: false } });
  });
});
