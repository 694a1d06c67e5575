import { describe, expect, it } from "vitest";
import { chunksOf } from "./fill.ts";

const keysWritten = (filling: Parameters<typeof chunksOf>[0]): number[] =>
  chunksOf(filling).flatMap(({ total, keys = 0, from = 0 }) => Array.from({ length: total }, (_, n) => from + (n % keys)));

describe("filling a cluster", () => {
  it("writes every key as often as the next", () => {
    const written = keysWritten({ events: 12, keys: 4 });
    expect(written).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
  });

  it("goes on with the next key after what is there", () => {
    expect(keysWritten({ events: 7, keys: 4, done: 2 })).toEqual([2, 3, 0, 1, 2]);
  });

  it("says how it goes after each 100,000 events", () => {
    const chunks = chunksOf({ events: 1_000_000, keys: 1_000_000 });
    expect(chunks.map(({ total }) => total)).toEqual(Array.from({ length: 10 }, () => 100_000));
  });

  it("does nothing when all is there", () => {
    expect(chunksOf({ events: 5, keys: 4, done: 5 })).toEqual([]);
  });
});
