import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Slot } from "./rows.ts";

describe("a row's slot", () => {
  it("keeps whatever checksum and hash it is given", () => {
    const word = fc.maxSafeNat().map((n) => n % 2 ** 48);
    const edges = fc.constantFrom(0, 2 ** 16 - 1, 2 ** 16, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1);
    const hashWord = fc.oneof(word, edges);
    const crc = fc.oneof(
      fc.nat(2 ** 32 - 1),
      edges.filter((n) => n < 2 ** 32),
    );
    fc.assert(
      fc.property(crc, fc.tuple(hashWord, hashWord), (diskCrc, hash) => {
        const slot = new Slot("setting", "a");
        expect([slot.diskCrc, slot.summedHash]).toEqual([null, null]);
        slot.diskCrc = diskCrc;
        slot.summedHash = hash;
        expect([slot.diskCrc, slot.summedHash]).toEqual([diskCrc, hash]);
        slot.diskCrc = null;
        slot.summedHash = null;
        expect([slot.diskCrc, slot.summedHash]).toEqual([null, null]);
      }),
    );
  });
});
