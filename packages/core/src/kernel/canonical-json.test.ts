import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { admittedJson } from "../testing/admitted-json.ts";
import { canonicalJson } from "./canonical-json.ts";

/** The same value with the keys of its objects turned round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, field]) => [key, turned(field)]),
  );
}

describe("canonical JSON", () => {
  it("is the same text for the same value, and that value", () => {
    fc.assert(
      fc.property(admittedJson, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(turned(value))).toBe(text);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
        expect(JSON.stringify(JSON.parse(text))).toBe(JSON.stringify(JSON.parse(canonicalJson(turned(value)))));
      }),
    );
  });

  it("is laid out to be read and compared line by line", () => {
    expect(canonicalJson({ b: [1, { d: -0 }], a: "ü\n", c: undefined })).toBe(
      '{\n  "a": "ü\\n",\n  "b": [\n    1,\n    {\n      "d": 0\n    }\n  ]\n}\n',
    );
    expect(canonicalJson([undefined])).toBe("[\n  null\n]\n");
  });

  it("refuses what is no JSON", () => {
    for (const value of [Number.NaN, Infinity, () => 1, new Uint8Array(1), 1n])
      expect(() => canonicalJson([{ a: value }]), String(value)).toThrow(TypeError);
  });
});
