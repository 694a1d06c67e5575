import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { Entry } from "@aether/raft/types";
import { blockEnd, blockPayloadMax, chainWithin, decodeEntries, encodeBlock, readHead } from "./block.ts";
import { blockKey, blockOf } from "./keys.ts";
import { entriesAfter } from "./testing/batches.ts";
import { TermTable } from "./terms.ts";

const prev = { term: 2, index: 9 };

describe("a block", () => {
  it("gives back the entries it was made of, at indexes and terms far past 32 bits", () => {
    for (const base of [0, 2 ** 32 - 2, 2 ** 40, 2 ** 53 - 10]) {
      const at = { term: base, index: base };
      const entries: Entry[] = [
        { term: base + 1, index: base + 1, kind: 2, data: new Uint8Array(0) },
        { term: base + 1, index: base + 2, kind: 1, data: Uint8Array.of(1, 2, 3) },
        { term: base + 3, index: base + 3, kind: 0, data: new Uint8Array(70_000).fill(7) },
      ];
      const stored = readHead(encodeBlock(entries, 0, 3, at, 77).value.slice());
      if ("fault" in stored) throw new Error(stored.detail);
      const decoded = decodeEntries(stored);
      expect(decoded.map(({ term, index, kind, data }) => ({ term, index, kind, data: Uint8Array.from(data) }))).toEqual(entries);
      expect(stored.head).toMatchObject({ first: base + 1, prevTerm: base, firstTerm: base + 1, lastTerm: base + 3, seed: 77 });
    }
  });

  it("shows a flipped bit anywhere in its value", () => {
    const { value } = encodeBlock(entriesAfter(prev, [2, 2, 3]), 0, 3, prev, 5);
    for (let at = 0; at < value.length * 8; at++) {
      const flipped = Buffer.from(value);
      flipped[at >> 3] = (flipped[at >> 3] as number) ^ (1 << (at & 7));
      expect(readHead(flipped)).toMatchObject({ fault: "crc" });
    }
  });

  it("shows a cut at any byte", () => {
    const { value } = encodeBlock(entriesAfter(prev, [2, 2, 3]), 0, 3, prev, 5);
    for (let length = 0; length < value.length; length++)
      expect(readHead(value.subarray(0, length))).toMatchObject({ fault: "crc" });
  });

  it("is told apart from one of a newer format", () => {
    const { value } = encodeBlock(entriesAfter(prev, [2]), 0, 1, prev, 5);
    value[0] = 2;
    value.writeUInt32BE(crc32(value.subarray(0, 52)), 52);
    expect(readHead(value)).toMatchObject({ fault: "version" });
  });

  it("is not decoded past a kind of entry that nobody here knows", () => {
    const unknown = { term: 2, index: 10, kind: 3, data: new Uint8Array(1) } as unknown as Entry;
    expect(() => decodeEntries(encodeBlock([unknown], 0, 1, prev, 0))).toThrow(/kind 3/);
  });

  it("gives the same chain at an entry however the log is cut", () => {
    const entries = entriesAfter(prev, [2, 2, 3, 3, 5]);
    const whole = encodeBlock(entries, 0, 5, prev, 41);
    const head = encodeBlock(entries, 0, 2, prev, 41);
    const tail = encodeBlock(entries, 2, 5, { term: 2, index: 11 }, head.head.chain);
    expect(chainWithin(whole, 2)).toBe(head.head.chain);
    expect(tail.head.chain).toBe(whole.head.chain);
  });

  it("closes near its size limit, and a larger entry has one of its own", () => {
    const small = entriesAfter(prev, Array<number>(600).fill(2), 1000);
    const end = blockEnd(small, 0);
    expect(end * 1012).toBeLessThanOrEqual(blockPayloadMax);
    expect((end + 1) * 1012).toBeGreaterThan(blockPayloadMax);
    const large = entriesAfter(prev, [2, 2], blockPayloadMax * 2);
    expect(blockEnd(large, 0)).toBe(1);
  });
});

describe("a block's key", () => {
  it("sorts by index and reads back", () => {
    const indexes = [1, 255, 256, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 1];
    expect(indexes.map((index) => blockOf(blockKey(index)))).toEqual(indexes);
    expect(indexes.map(blockKey).toSorted((a, b) => a.compare(b))).toEqual(indexes.map(blockKey));
  });

  it("refuses keys that no program writes", () => {
    expect(blockOf(Buffer.from([1, 0xff, 0, 0, 0, 0, 0, 0, 1]))).toBeUndefined();
    expect(blockOf(Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1]))).toBeUndefined();
    expect(blockOf(Buffer.from([1, 0, 1]))).toBeUndefined();
  });
});

describe("the term table", () => {
  it("knows the term of every index after any cut", () => {
    const terms = new TermTable();
    const truth = [1, 1, 1, 2, 2, 5, 5, 5, 5, 9];
    truth.forEach((term, index) => terms.extend(index, term));
    expect(truth.map((_, index) => terms.at(index))).toEqual(truth);
    terms.cutAfter(6);
    terms.cutBefore(4);
    terms.extend(7, 6);
    expect([4, 5, 6, 7].map((index) => terms.at(index))).toEqual([2, 5, 5, 6]);
  });

  it("takes no entry that does not follow the newest: it would answer for others", () => {
    const terms = new TermTable();
    for (const [index, term] of [
      [0, 1],
      [3, 2],
      [5, 4],
    ] as const)
      terms.extend(index, term);
    terms.extend(6, 4);
    for (const [index, term] of [
      [6, 3],
      [4, 4],
      [5, 5],
      [3, 2],
    ] as const)
      expect(() => terms.extend(index, term)).toThrow(`entry ${index} of term ${term} follows entry 5 of term 4`);
    expect([2, 3, 4, 5, 6].map((index) => terms.at(index))).toEqual([1, 2, 2, 4, 4]);
  });
});
