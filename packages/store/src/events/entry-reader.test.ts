import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import * as fc from "fast-check";
import type { EntryPayload } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { admittedJson } from "@aether/core/testing/admitted-json";
import { describe, expect, it } from "vitest";
import { decodeCurrent, encodeEntry } from "./entry-codec.ts";
import { readEntry, readPacked } from "./entry-reader.ts";
import type { ReadEntry } from "./entry-reader.ts";
import { boxRegistry, filled } from "./testing/box-noun.ts";
import { packValue, unpackValue } from "./value-codec.ts";

const folder = resolve(import.meta.dirname, "../../../../fixtures/events");

/** A read entry in the words of the general decoder. */
function inWords({ request, ...rest }: ReadEntry): unknown {
  if (request === null) return { request, ...rest };
  const { client, bytes, idAt, idEnd, printAt, printEnd, version, answer } = request;
  const text = (at: number, end: number): string => Buffer.from(bytes.subarray(at, end)).toString();
  return { request: { client, id: text(idAt, idEnd), fingerprint: text(printAt, printEnd), version, answer }, ...rest };
}

function expectAlike(bytes: Uint8Array, known = boxRegistry): void {
  expect(inWords(readEntry(bytes, known))).toEqual(decodeCurrent(bytes, known));
}

const payload = (more: Partial<EntryPayload>): EntryPayload => ({
  at: 1_763_000_000_000,
  actor: { name: "olga", role: "operator" },
  cause: "FillBox",
  request: null,
  events: [filled("a", 1)],
  ...more,
});

describe("an entry that is applied", () => {
  it("reads as the general decoder reads it, whatever JSON is in it", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.string({ unit: "binary" }),
      fc.string({ minLength: 30, maxLength: 300 }),
    );
    // an answer of null is no answer
    const given = admittedJson.filter((value) => value !== null);
    const request = fc.record({ client: text, id: text, fingerprint: text, version: fc.nat(2 ** 31), answer: given });
    fc.assert(
      fc.property(admittedJson, fc.option(request), text, fc.maxSafeNat(), (note, asked, name, at) => {
        // halves of surrogate pairs are not the same text in UTF-8; requests with them are not admitted
        if (asked !== null && ![asked.client, asked.id, asked.fingerprint].every((t) => t.isWellFormed())) return;
        const events = [{ ...filled(name, 2 ** 40), note }, filled("b", -1, name), filled("b", 0.5)] as EntryPayload["events"];
        expectAlike(encodeEntry(payload({ at, events, cause: name, request: asked })));
      }),
      { numRuns: 2_000 },
    );
  });

  it("and so does a row, also one that only the general decoder knows", () => {
    const plain = fc.tuple(fc.nat(), fc.maxSafeNat(), fc.maxSafeNat(), admittedJson);
    fc.assert(
      fc.property(plain, (row) => {
        expect(readPacked(packValue(row))).toEqual(unpackValue(packValue(row)));
      }),
      { numRuns: 500 },
    );
    const bytes = packValue([1, 2 ** 40, -(2 ** 40), { key: new Uint8Array([1, 2]), list: Array.from({ length: 70 }, String) }]);
    expect(readPacked(bytes)).toEqual(unpackValue(bytes));
    expect(() => readPacked(bytes.subarray(0, -1))).toThrow(/./);
  });

  it("reads the same the second time, when its words are known", () => {
    const events = Array.from({ length: 300 }, (_, i) => filled(`box-${i % 40}-${"é".repeat(i % 3)}`, i - 150, "x".repeat(i)));
    for (let i = 0; i < 3; i++) expectAlike(encodeEntry(payload({ events })));
  });

  it("has its older events brought up to date", () => {
    const old = { type: "BoxFilled", v: 1, id: "a", n: 5 };
    expectAlike(encodeEntry(payload({ events: [old, filled("b", 1), old] })));
    expect(readEntry(encodeEntry(payload({ events: [old] })), boxRegistry).events).toEqual([filled("a", 5)]);
  });

  it.each(readdirSync(folder))("%s reads like any", (name) => {
    const { hex } = JSON.parse(readFileSync(join(folder, name), "utf8")) as { hex: string };
    expectAlike(Buffer.from(hex, "hex"), registry);
  });

  it("that is cut, extended or of something else is refused, with the general decoder's words", () => {
    const request = { client: "c", id: "r", fingerprint: "f", version: 1 };
    const bytes = encodeEntry(payload({ request, events: [filled("a", 1, "x".repeat(300))] }));
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readEntry(bytes.subarray(0, length), boxRegistry)).toThrow(/./);
    }
    expect(() => readEntry(Buffer.concat([bytes, bytes]), boxRegistry)).toThrow("Data read, but end of buffer not reached");
    expect(() => readEntry(packValue({ at: "soon" }), boxRegistry)).toThrow("no entry payload");
    expect(() => readEntry(packValue([2, 1, "n", "operator", "c", null, []]), boxRegistry)).toThrow("no entry payload");
    expect(() => readEntry(encodeEntry(payload({ events: [{ ...filled("a", 1), v: 3 }] })), boxRegistry)).toThrow(
      "newer than v2",
    );
    expect(() => readEntry(encodeEntry(payload({ events: [{ type: "Other", v: 1, id: "a" }] })), boxRegistry)).toThrow("unknown");
  });

  it("does not follow its bytes: rows keep none of them", () => {
    const bytes = Buffer.from(encodeEntry(payload({ events: [filled("a", 1, "y".repeat(500))] })));
    const { events } = readEntry(bytes, boxRegistry);
    bytes.fill(0x41);
    expect(events).toEqual([filled("a", 1, "y".repeat(500))]);
  });
});
