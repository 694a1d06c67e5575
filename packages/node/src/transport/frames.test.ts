import { Kind, type Entry, type Envelope, type Msg } from "@aether/raft/types";
import * as fc from "fast-check";
import { crc32 } from "node:zlib";
import { describe, expect, it } from "vitest";
import { clusterMark, decodeFrame, encodeFrames, frameBytesTarget } from "./frames.ts";

const cluster = clusterMark("a".repeat(32));
const route = { cluster, from: 1, to: 2 };
const count = fc.maxSafeNat();
const small = fc.nat({ max: 2 ** 40 });
const position = fc.record({ term: count, index: count });
const ids = fc.array(fc.integer({ min: 1, max: 0xffff_ffff }), { maxLength: 7 });

const append: fc.Arbitrary<Msg> = fc
  .tuple(
    fc.record({ term: count, index: small }),
    fc.array(fc.record({ term: count, kind: fc.constantFrom(...Object.values(Kind)), data: fc.uint8Array({ maxLength: 300 }) }), {
      maxLength: 20,
    }),
    count,
  )
  .map(([prev, raw, commit]) => {
    const entries: Entry[] = raw.map((e, i) => ({ ...e, index: prev.index + 1 + i }));
    return { t: "app", prev, entries, commit };
  });

const message: fc.Arbitrary<Msg> = fc.oneof(
  append,
  fc.record({ t: fc.constant("appResp" as const), index: count, reject: fc.option(fc.record({ hint: position })) }),
  fc.record({ t: fc.constant("hb" as const), commit: count, readPos: count }),
  fc.record({ t: fc.constant("hbResp" as const), readPos: count }),
  fc.record({
    t: fc.constantFrom("vote" as const, "preVote" as const),
    last: position,
    transfer: fc.boolean(),
    commit: position,
  }),
  fc.record({ t: fc.constantFrom("voteResp" as const, "preVoteResp" as const), granted: fc.boolean(), commit: position }),
  fc.record({ t: fc.constant("readIndex" as const), key: count }),
  fc.record({ t: fc.constant("readIndexResp" as const), key: count, index: count }),
  fc.constantFrom<Msg>({ t: "timeoutNow" }, { t: "removed" }),
  fc.record({
    t: fc.constant("snapOffer" as const),
    meta: fc.record({
      id: position,
      membership: fc.record({ voters: ids, outgoing: ids, learners: ids, learnersNext: ids, autoLeave: fc.boolean() }),
      digest: fc.stringMatching(/^[0-9a-f]{0,64}$/),
      bytes: count,
    }),
  }),
);
const envelope: fc.Arbitrary<Envelope> = fc.record({ from: fc.constant(1), to: fc.constant(2), term: count, m: message });

const decodeAll = (frames: readonly { readonly bytes: Buffer }[]): readonly Envelope[] =>
  frames.flatMap(({ bytes }) => {
    const decoded = decodeFrame(bytes, cluster);
    if (!decoded.ok) throw new Error(decoded.why);
    return decoded.envelopes;
  });

const sample: Envelope[] = [
  { from: 1, to: 2, term: 7, m: { t: "hb", commit: 5, readPos: 9 } },
  {
    from: 1,
    to: 2,
    term: 7,
    m: {
      t: "app",
      prev: { term: 6, index: 40 },
      commit: 39,
      entries: [
        { term: 6, index: 41, kind: Kind.normal, data: Uint8Array.of(1, 2, 3) },
        { term: 7, index: 42, kind: Kind.noop, data: new Uint8Array(0) },
      ],
    },
  },
  { from: 1, to: 2, term: 7, m: { t: "appResp", index: 3, reject: { hint: { term: 2, index: 1 } } } },
];

const forged = (body: Uint8Array, messages: number): Buffer => {
  const [empty] = encodeFrames(route, [sample[0]!]);
  const bytes = Buffer.concat([empty!.bytes.subarray(0, 32), body]);
  bytes.writeUInt32LE(messages, 20);
  bytes.writeUInt32LE(body.length, 24);
  bytes.writeUInt32LE(crc32(bytes.subarray(32), crc32(bytes.subarray(0, 28))), 28);
  return bytes;
};

const wrong =
  (m: Msg): (() => unknown) =>
  () =>
    encodeFrames(route, [{ from: 1, to: 2, term: 1, m }]);

describe("frames between members", () => {
  it("give back exactly what was put in, in order, however they are cut", () => {
    fc.assert(
      fc.property(fc.array(envelope, { maxLength: 12 }), fc.integer({ min: 32, max: 4000 }), (batch, target) => {
        const frames = encodeFrames(route, batch, target);
        expect(decodeAll(frames)).toEqual(batch);
        expect(frames.reduce((n, f) => n + f.messages, 0)).toBe(batch.length);
        for (const f of frames) expect(f.messages === 1 || f.bytes.length <= target).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("put a turn's messages for one peer into one frame, and split only beyond 1 MiB", () => {
    expect(
      encodeFrames(
        route,
        Array.from({ length: 3000 }, () => sample[0]!),
      ),
    ).toHaveLength(1);
    const data = new Uint8Array(300 * 1024).fill(7);
    const big = (index: number): Envelope => ({
      from: 1,
      to: 2,
      term: 1,
      m: { t: "app", prev: { term: 1, index }, commit: 0, entries: [{ term: 1, index: index + 1, kind: Kind.normal, data }] },
    });
    const frames = encodeFrames(route, [big(0), big(1), big(2), big(3), big(4)]);
    expect(frames.map((f) => f.messages)).toEqual([3, 2]);
    expect(Math.max(...frames.map((f) => f.bytes.length))).toBeLessThanOrEqual(frameBytesTarget);
  });

  it("are refused with a single bit flipped anywhere, cut anywhere, or with anything behind", () => {
    const [frame] = encodeFrames(route, sample);
    const good = frame!.bytes;
    for (let at = 0; at < good.length; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const bad = Buffer.from(good);
        bad[at]! ^= 1 << bit;
        expect(decodeFrame(bad, cluster).ok).toBe(false);
      }
      expect(decodeFrame(good.subarray(0, at), cluster).ok).toBe(false);
    }
    expect(decodeFrame(Buffer.concat([good, Buffer.of(0)]), cluster).ok).toBe(false);
    expect(decodeFrame(good, clusterMark("b".repeat(32)))).toEqual({ ok: false, why: "cluster" });
  });

  it("never throw on junk, not even on junk under a correct CRC", () => {
    const almost = fc
      .tuple(fc.array(envelope, { minLength: 1, maxLength: 3 }), fc.nat(), fc.nat({ max: 255 }))
      .map(([batch, at, value]) => {
        const body = Buffer.from(encodeFrames(route, batch)[0]!.bytes.subarray(32));
        body[at % body.length] = value;
        return body;
      });
    fc.assert(
      fc.property(fc.oneof(almost, fc.uint8Array({ maxLength: 200 })), fc.nat({ max: 4 }), (body, messages) => {
        const decoded = decodeFrame(forged(body, messages), cluster);
        if (!decoded.ok) return;
        // Whatever passes is well-formed enough to be written again.
        expect(decodeAll(encodeFrames(route, decoded.envelopes))).toEqual(decoded.envelopes);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (junk) => !decodeFrame(Buffer.from(junk), cluster).ok));
  });

  it("own their entries: nothing read later through the same socket buffer changes them", () => {
    const [frame] = encodeFrames(route, sample);
    const socketBuffer = Buffer.from(frame!.bytes);
    const decoded = decodeFrame(socketBuffer, cluster);
    socketBuffer.fill(0xee);
    expect(decoded).toMatchObject({ ok: true, envelopes: sample });
  });

  it("refuse to be made of numbers that a reader could not hold, or of entries out of order", () => {
    expect(wrong({ t: "hbResp", readPos: 2 ** 53 })).toThrow(RangeError);
    expect(wrong({ t: "hbResp", readPos: -1 })).toThrow(RangeError);
    const entry: Entry = { term: 1, index: 9, kind: Kind.normal, data: new Uint8Array(0) };
    expect(wrong({ t: "app", prev: { term: 1, index: 1 }, commit: 0, entries: [entry] })).toThrow(
      /entry 9 stands where 2 belongs/,
    );
  });
});
