import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeHello, parseHello, type Hello } from "./handshake.ts";
import { decodeChunk, encodeChunk, encodeWord, parseWord, type SnapshotWord } from "./snapshot-words.ts";

const hello: Hello = { cluster: "a".repeat(32), from: 1, to: 2, incarnation: 1_763_000_000_000, build: "0.1.0", features: ["x"] };
const offer: SnapshotWord = {
  t: "offer",
  stream: 1,
  term: 7,
  meta: {
    id: { term: 6, index: 900 },
    membership: { voters: [1, 2, 3], outgoing: [], learners: [4], learnersNext: [], autoLeave: false },
    digest: "ab".repeat(32),
    bytes: 12_345,
  },
};
const bytesOf = (text: string): Buffer => Buffer.from(text);

describe("greetings and snapshot words", () => {
  it("come back as they were said", () => {
    expect(parseHello(bytesOf(encodeHello(hello)))).toEqual(hello);
    const words: SnapshotWord[] = [
      offer,
      { t: "accept", stream: 2, resumeAt: 5 },
      { t: "ack", stream: 2, offset: 9 },
      { t: "done", stream: 2 },
      { t: "refuse", stream: 2, why: "busy" },
    ];
    for (const word of words) expect(parseWord(bytesOf(encodeWord(word)))).toEqual(word);
  });

  it("are refused with a field of another kind or range, whichever it is", () => {
    const wrong: Record<string, unknown>[] = [
      { v: 1 },
      { v: 3 },
      { from: 0 },
      { to: 2 ** 32 },
      { incarnation: -1 },
      { incarnation: "1" },
      { cluster: 7 },
      { build: "x".repeat(200) },
      { features: "x" },
      { features: Array.from({ length: 100 }, () => "x") },
    ];
    for (const change of wrong) expect(parseHello(bytesOf(JSON.stringify({ v: 2, ...hello, ...change })))).toBeNull();
    const { meta } = offer;
    const wrongMeta: Record<string, unknown>[] = [
      { id: { term: 6 } },
      { bytes: -1 },
      { digest: 5 },
      { membership: { ...meta.membership, voters: [0] } },
      { membership: { ...meta.membership, voters: null } },
      { membership: { ...meta.membership, autoLeave: 1 } },
    ];
    for (const change of wrongMeta)
      expect(parseWord(bytesOf(JSON.stringify({ ...offer, meta: { ...meta, ...change } })))).toBeNull();
    expect(parseWord(bytesOf(JSON.stringify({ ...offer, stream: null })))).toBeNull();
    expect(parseWord(bytesOf(JSON.stringify({ t: "accept", stream: 1, resumeAt: 1.5 })))).toBeNull();
  });

  it("are refused, not thrown over, when they are junk", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(parseHello(bytesOf(text))).toBeNull();
        expect(parseWord(bytesOf(text))).toBeNull();
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => decodeChunk(Buffer.from(bytes)) === null));
  });
});

describe("snapshot chunks", () => {
  it("come back as they were sent, and not at all with a bit of the header flipped or cut off", () => {
    const chunk = { stream: 3, offset: 2 ** 40, crc: 0xdead_beef, eof: true, bytes: Buffer.from("some data") };
    const good = encodeChunk(chunk);
    expect(decodeChunk(good)).toEqual(chunk);
    const headBytes = good.length - chunk.bytes.length;
    for (let at = 0; at < headBytes; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = Buffer.from(good);
        bad[at]! ^= 1 << bit;
        expect(decodeChunk(bad)).toBeNull();
      }
      expect(decodeChunk(good.subarray(0, at))).toBeNull();
    }
  });
});
