import { describe, expect, it } from "vitest";
import { kindsMax, makeRefusalLedger, overflow } from "./refusals.ts";

describe("the refusal ledger", () => {
  it("counts alike refusals as one and forgets none that could not be recorded", () => {
    const ledger = makeRefusalLedger();
    for (let i = 0; i < 1000; i++) ledger.note("PUT /v1/settings", "viewer:eve", "10.0.0.9");
    ledger.note("connect: no certificate", "", "10.0.0.9");
    const taken = ledger.drain();
    expect(taken.map((r) => r.count)).toEqual([1000, 1]);
    expect(ledger.drain()).toEqual([]);
    ledger.putBack(taken);
    ledger.note("PUT /v1/settings", "viewer:eve", "10.0.0.9");
    expect(ledger.drain().map((r) => r.count)).toEqual([1001, 1]);
    expect(ledger.total).toBe(1002);
  });

  it("stays small under a flood of different addresses, and still counts each", () => {
    const ledger = makeRefusalLedger();
    for (let i = 0; i < 5000; i++) ledger.note("connect", "", `10.0.${i >> 8}.${i & 255}`);
    const taken = ledger.drain();
    expect(taken).toHaveLength(kindsMax + 1);
    expect(taken.at(-1)).toEqual({ ...overflow, count: 5000 - kindsMax });
  });

  it("lets no outsider write control characters or long texts into the log", () => {
    const ledger = makeRefusalLedger();
    ledger.note(`GET /\u0007${"x".repeat(500)}`, "operator:a\nb", "::1");
    const [only] = ledger.drain();
    expect(only?.what).toHaveLength(128);
    expect(only?.what).not.toMatch(/\p{Cc}/u);
    expect(only?.identity).toBe("operator:a?b");
  });
});
