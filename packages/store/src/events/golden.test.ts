/**
 * Events are forever: the bytes in fixtures/events/ were written once, and every later build must read them the same.
 * A missing file is added with AETHER_GOLDEN=add; nothing ever rewrites one.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { DomainEvent, EntryPayload } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import { describe, expect, it } from "vitest";
import { decodeCurrent, decodeEntry, encodeEntry } from "./entry-codec.ts";
import { goldenSamples } from "./testing/golden-samples.ts";

const folder = resolve(import.meta.dirname, "../../../../fixtures/events");

interface Golden {
  readonly type: string;
  readonly v: number;
  /** The whole entry's bytes. */
  readonly hex: string;
  readonly payload: EntryPayload;
}

const fileOf = (type: string, v: number): string => join(folder, `${type}.v${v}.json`);
const types = registry.nouns.flatMap((noun) => noun.events);
const wanted = types.flatMap(({ type, v }) => Array.from({ length: v }, (_, i) => ({ type, v: i + 1 })));

const entryOf = (event: DomainEvent): EntryPayload => ({
  at: 1_795_261_500_000,
  actor: { name: "olga", role: "operator" },
  cause: `Sample${event.type}`,
  request: { client: "operator:olga", id: "01JD", fingerprint: "0123456789abcdef", version: 3, answer: { member: 4 } },
  events: [event],
});

/** Adds what is missing, and nothing else: the flag wx refuses a file that is there. */
function addMissing(): void {
  for (const event of goldenSamples.filter(({ type, v }) => !existsSync(fileOf(type, v)))) {
    const hex = Buffer.from(encodeEntry(entryOf(event))).toString("hex");
    const golden: Golden = { type: event.type, v: event.v, hex, payload: decodeEntry(Buffer.from(hex, "hex")) };
    writeFileSync(fileOf(event.type, event.v), `${JSON.stringify(golden, null, 2)}\n`, { flag: "wx" });
  }
}

if (process.env["AETHER_GOLDEN"] === "add") addMissing();

describe("golden events", () => {
  it("exist for every event type in every version, and every sample is one", () => {
    const missing = wanted.filter(({ type, v }) => !existsSync(fileOf(type, v))).map(({ type, v }) => `${type} v${v}`);
    expect(missing, "add a line to testing/golden-samples.ts and run this test once with AETHER_GOLDEN=add").toEqual([]);
    for (const event of goldenSamples) expect(registry.event(event.type)?.parse(event)).toEqual(event);
  });

  it("are of no type that was given up: events are forever", () => {
    const known = new Set(wanted.map(({ type, v }) => `${type}.v${v}.json`));
    expect(readdirSync(folder).filter((name) => !known.has(name))).toEqual([]);
  });

  it.each(readdirSync(folder))("%s decodes as it did when it was written", (name) => {
    const golden = JSON.parse(readFileSync(join(folder, name), "utf8")) as Golden;
    const bytes = Buffer.from(golden.hex, "hex");
    expect(decodeEntry(bytes)).toEqual(golden.payload);
    expect(golden.payload.events).toMatchObject([{ type: golden.type, v: golden.v }]);
    // an entry that is read and written again is the same entry
    expect(Buffer.from(encodeEntry(decodeEntry(bytes))).toString("hex")).toBe(golden.hex);
    for (const event of decodeCurrent(bytes, registry).events) {
      expect(registry.event(event.type)?.parse(event)).toEqual(event);
    }
  });
});
