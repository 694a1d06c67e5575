import * as fc from "fast-check";
import { entryBytesMax } from "@aether/core/kernel/event";
import type { EntryPayload } from "@aether/core/kernel/event";
import { admittedJson } from "@aether/core/testing/admitted-json";
import { describe, expect, it } from "vitest";
import { EntryTooLarge, decodeCurrent, decodeEntry, encodeEntry } from "./entry-codec.ts";
import { keyNumber, numberKey, parseRowKey, rowKey } from "./state-db.ts";
import { boxRegistry } from "./testing/box-noun.ts";
import { packValue, seal, unpackValue, unseal, withoutUndefined } from "./value-codec.ts";

const payload = (more: object = {}): EntryPayload => ({
  at: 1_763_000_000_000,
  actor: { name: "olga", role: "operator" },
  cause: "FillBox",
  request: null,
  events: [{ type: "BoxFilled", v: 2, id: "a", content: 1, note: "" }],
  ...more,
});
/** JSON without -0, which becomes 0 as it would in JSON text. */
const json = admittedJson.map((value) => JSON.parse(JSON.stringify(value)) as unknown);

describe("an entry's bytes", () => {
  it("give the payload back, with numbers beyond 2^32 and text of any script", () => {
    const events = [
      {
        type: "BoxFilled",
        v: 2,
        id: "ä/日本",
        content: 2 ** 40 + 1,
        note: "☃",
        n: -(2 ** 45),
        f: 0.1,
        deep: { a: [1, null, true] },
      },
    ];
    const whole = payload({
      at: 2 ** 52,
      events,
      request: { client: "c", id: "r", fingerprint: "f", version: 2 ** 33, answer: { member: 7 } },
    });
    expect(decodeEntry(encodeEntry(whole))).toEqual(whole);
  });

  it("are the same for the same payload, whatever was encoded before and however its fields are ordered", () => {
    const { events, request, cause, actor, at } = payload();
    const first = encodeEntry(payload());
    for (let i = 0; i < 50; i++) encodeEntry(payload({ cause: `Other${i}`, events: [{ type: "X", v: 1, id: "x".repeat(i) }] }));
    expect(encodeEntry({ events, request, cause, at, actor: { role: actor.role, name: actor.name } })).toEqual(first);
  });

  it("stay what they were when more is encoded, and do not follow their source", () => {
    const first = encodeEntry(payload());
    const copy = Buffer.from(first);
    for (let i = 0; i < 2_000; i++) encodeEntry(payload({ at: i }));
    expect(Buffer.from(first)).toEqual(copy);
    const binary = packValue({ data: new Uint8Array([1, 2, 3]) });
    const { data } = unpackValue(binary) as { data: Uint8Array };
    binary.fill(0);
    expect([...data]).toEqual([1, 2, 3]);
  });

  it("leave undefined fields out, at any depth", () => {
    const events = [
      {
        type: "BoxFilled",
        v: 2,
        id: "a",
        gone: undefined,
        deep: { gone: undefined, kept: [{ gone: undefined, kept: 1 }, undefined] },
      },
    ];
    const kept = [{ type: "BoxFilled", v: 2, id: "a", deep: { kept: [{ kept: 1 }, null] } }];
    expect(encodeEntry(payload({ events }))).toEqual(encodeEntry(payload({ events: kept })));
    expect(events[0]).toHaveProperty("gone");
  });

  it("are at most 1 MiB", () => {
    const note = "x".repeat(entryBytesMax);
    expect(() => encodeEntry(payload({ cause: note }))).toThrow(EntryTooLarge);
    expect(encodeEntry(payload({ cause: note.slice(1_000) })).length).toBeLessThanOrEqual(entryBytesMax);
  });

  it("that are cut, extended or of something else are refused", () => {
    const bytes = encodeEntry(payload());
    expect(() => decodeEntry(bytes.subarray(0, bytes.length - 1))).toThrow("Unexpected end");
    expect(() => decodeEntry(Buffer.concat([bytes, bytes]))).toThrow("Data read, but end of buffer not reached");
    expect(() => decodeEntry(packValue({ at: "soon" }))).toThrow("no entry payload");
  });

  it("survive any JSON value unchanged", () => {
    fc.assert(
      fc.property(json, (value) => {
        const events = [{ type: "X", v: 1, id: "x", value }];
        expect(decodeEntry(encodeEntry(payload({ events }))).events).toEqual(events);
        expect(encodeEntry(decodeEntry(encodeEntry(payload({ events }))))).toEqual(encodeEntry(payload({ events })));
      }),
    );
  });

  it("bring older events up to date, and only those", () => {
    const old = { type: "BoxFilled", v: 1, id: "a", n: 5 };
    const now = { type: "BoxFilled", v: 2, id: "a", content: 5, note: "" };
    const other = { type: "BoxRemoved", v: 1, id: "b" };
    expect(decodeCurrent(encodeEntry(payload({ events: [other, old] })), boxRegistry).events).toEqual([other, now]);
    expect(() => decodeCurrent(encodeEntry(payload({ events: [{ ...now, v: 3 }] })), boxRegistry)).toThrow("newer than v2");
  });
});

describe("dropping undefined", () => {
  it("gives back the very same object when there is nothing to drop", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(withoutUndefined(value)).toBe(value);
      }),
    );
  });
});

describe("a sealed value", () => {
  it("is refused after any flipped bit, and under another key", () => {
    const key = Buffer.from("rbox\0a");
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.nat(7), (bytes, at, bit) => {
        const sealed = seal(key, bytes);
        expect(Buffer.from(unseal(key, sealed))).toEqual(Buffer.from(bytes));
        expect(() => unseal(Buffer.from("rbox\0b"), sealed)).toThrow("checksum");
        const place = at % sealed.length;
        sealed[place] = (sealed[place] ?? 0) ^ (1 << bit);
        expect(() => unseal(key, sealed)).toThrow("checksum");
      }),
    );
    expect(() => unseal(key, new Uint8Array(3))).toThrow("checksum");
  });
});

describe("keys", () => {
  it("give back what they were made of", () => {
    const id = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("\0") && text === Buffer.from(text).toString());
    fc.assert(
      fc.property(id, (text) => {
        expect(parseRowKey(rowKey("box", text))).toEqual(["box", text]);
      }),
    );
    for (const n of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER]) {
      expect(keyNumber(numberKey("c", n))).toBe(n);
      expect(keyNumber(numberKey("h", n))).toBe(n);
    }
  });

  it("sort as their numbers do", () => {
    const some = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(some, some, (a, b) => {
        expect(Buffer.compare(numberKey("c", a), numberKey("c", b))).toBe(Math.sign(a - b));
      }),
    );
  });
});
