import { describe, expect, it } from "vitest";
import { paceOf } from "./provider-of.ts";

describe("the pace of waits for a vendor", () => {
  it("is as asked only where the vendor is a fake on this computer: elsewhere proofs take their time", () => {
    const AETHER_CLOUD_PACE = "0.02";
    expect(paceOf({ AETHER_CLOUD_PACE, AETHER_HETZNER_ENDPOINT: "http://127.0.0.1:4500/v1" })).toBe(0.02);
    expect(paceOf({ AETHER_CLOUD_PACE })).toBe(1);
    expect(paceOf({ AETHER_CLOUD_PACE, AETHER_HETZNER_ENDPOINT: "https://gateway.example.com/v1" })).toBe(1);
    expect(paceOf({ AETHER_HETZNER_ENDPOINT: "http://127.0.0.1:4500/v1" })).toBe(1);
  });

  it("is refused when it is no part of a whole", () => {
    for (const AETHER_CLOUD_PACE of ["0", "-1", "2", "fast", ""]) expect(() => paceOf({ AETHER_CLOUD_PACE })).toThrow(RangeError);
  });
});
