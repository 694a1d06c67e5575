import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { address, clusterName, nodeName, settingKey } from "./grammar.ts";
import { jsonEqual, jsonFault } from "./json.ts";
import { editDistance, nearest } from "./nearest.ts";
import { makePlainWorld } from "./plain-world.ts";
import { registry } from "../registry.ts";
import { SettingChanged } from "../setting/events.ts";
import { admittedJson } from "../testing/admitted-json.ts";

describe("names", () => {
  it("fit together into 63 characters, begin with a letter, and do not end with a hyphen", () => {
    expect(["a", "n1", "edge-7", "a".repeat(40)].filter((name) => !clusterName.pattern.test(name))).toEqual([]);
    expect(["", "1a", "-a", "a-", "A", "a_b", "a".repeat(41), "a\n"].filter((name) => clusterName.pattern.test(name))).toEqual(
      [],
    );
    expect(nodeName.pattern.test("a".repeat(22))).toBe(true);
    expect(nodeName.pattern.test("a".repeat(23))).toBe(false);
    expect(settingKey.pattern.test("a/b.c_d-e1")).toBe(true);
    expect(["/a", "a b", "A", ""].filter((key) => settingKey.pattern.test(key))).toEqual([]);
  });

  it("of addresses have a host and a port that exist", () => {
    const good = ["127.0.0.1:1", "n1.example.org:65535", "[::1]:7401", "a:80"];
    const bad = ["127.0.0.1", ":80", "a:0", "a:65536", "a:99999", "a:080", "::1:80", "a b:1", "https://a:1", "a:1/"];
    expect(good.filter((text) => !address.pattern.test(text))).toEqual([]);
    expect(bad.filter((text) => address.pattern.test(text))).toEqual([]);
  });
});

describe("JSON from outside", () => {
  it("is measured about as large as it is written", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const written = JSON.stringify(value);
        const bytes = new TextEncoder().encode(written).length;
        // Random values come to this field now and then; it is refused whatever its size.
        const refused = written.includes('"__proto__":') ? "JSON without a field called __proto__" : null;
        expect(jsonFault(value, 20 * bytes + 64)).toBe(refused);
        if (bytes > 200) expect(jsonFault(value, bytes / 20)).not.toBeNull();
      }),
    );
  });

  it("is refused when it is deep, cyclic, large or none", () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    const sparse = Array.from({ length: 2 });
    for (const value of [cycle, sparse, () => 1, Symbol("x"), 1n, Number.POSITIVE_INFINITY, new Date(), { at: undefined }]) {
      expect(jsonFault(value, 1_000)).not.toBeNull();
    }
    expect(jsonFault("ä".repeat(500), 1_002)).toBeNull();
    expect(jsonFault("ä".repeat(500), 900)).not.toBeNull();
  });

  it("is equal to itself in any order of keys, and to nothing else", () => {
    fc.assert(
      fc.property(admittedJson, admittedJson, (a, b) => {
        expect(jsonEqual(a, structuredClone(a))).toBe(true);
        const sorted = (value: unknown): string =>
          JSON.stringify(value, (_key, inner: unknown) =>
            typeof inner === "object" && inner !== null && !Array.isArray(inner)
              ? Object.fromEntries(Object.entries(inner).toSorted(([x], [y]) => (x < y ? -1 : 1)))
              : inner,
          );
        expect(jsonEqual(a, b)).toBe(sorted(a) === sorted(b));
      }),
    );
    expect(jsonEqual({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(true);
    expect(jsonEqual([], {})).toBe(false);
    expect(jsonEqual({ a: null }, { b: null })).toBe(false);
  });
});

describe("did you mean", () => {
  it("finds one slip in a short word and a few in a long one", () => {
    const known = ["name", "size", "region", "instance_type", "cluster_secret"];
    expect(["nmae", "sizes", "regoin", "instancetype", "clustr_secrt"].map((word) => nearest(word, known))).toEqual(known);
    expect(["x", "nothing", "sz", ""].map((word) => nearest(word, known))).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("measures a distance: none to oneself, the same both ways, and no longer than the longer word", () => {
    const word = fc.string({ maxLength: 8, unit: fc.constantFrom("a", "b", "c") });
    fc.assert(
      fc.property(word, word, (a, b) => {
        const far = editDistance(a, b);
        expect(far === 0).toBe(a === b);
        expect(editDistance(b, a)).toBe(far);
        expect(far).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(far).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
      }),
    );
    expect(editDistance("ab", "ba")).toBe(1);
  });
});

describe("the plain world", () => {
  it("keeps versions, places and times as the store does", () => {
    const world = makePlainWorld(registry);
    world.apply([SettingChanged.of("k", { value: 1, description: "" }), SettingChanged.of("k", { value: 2, description: "" })]);
    world.apply([SettingChanged.of("l", { value: 1, description: "" })], { index: 9, at: 77 });
    expect(world.get("setting", "k")).toEqual({ id: "k", version: 2, index: 1, at: 1_000, row: { value: 2, description: "" } });
    expect(world.get("setting", "l")).toMatchObject({ version: 1, index: 9, at: 77 });
    expect([world.index, world.count("setting")]).toEqual([9, 2]);
    expect(() => world.apply([{ type: "Unheard", v: 1, id: "x" }])).toThrow("unknown event type Unheard");
    expect(() => world.get("unheard", "x")).toThrow("there is no noun unheard");
  });
});
