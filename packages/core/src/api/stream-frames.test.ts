import { describe, expect, it } from "vitest";
import { isDone, isFound, isHelloFrame, isRefused, isServerFrame, type ServerFrame } from "./stream-frames.ts";

const done: ServerFrame = [7, 1, 42, 3, true, false];
const refused: ServerFrame = [7, 0, "stale", "it is at version 4", "read it again"];
const found: ServerFrame = [7, 2, null, 42];

describe("frames of the stream", () => {
  it("tells the three answers apart", () => {
    for (const frame of [done, refused, found]) {
      expect(isServerFrame(frame)).toBe(true);
      expect([isDone, isRefused, isFound].filter((is) => is(frame)).length).toBe(1);
    }
    expect(isServerFrame([...done, { member: 4 }])).toBe(true);
    expect(isHelloFrame(["hello", { node: "n1", leader: null, limits: { inFlight: 4096, messageBytes: 1 } }])).toBe(true);
  });

  it("takes nothing else for an answer", () => {
    const others = [
      null,
      {},
      [],
      "hello",
      ["hello", {}],
      [1.5, 1, 42, 3, true, false],
      [7, 3, 1],
      [7, 1, 42],
      [7, 0, 9, "m", "h"],
      [7, 2, null, "42"],
    ];
    expect(others.filter((frame) => isServerFrame(frame))).toEqual([]);
    expect([["hello"], ["hello", null], done].filter((frame) => isHelloFrame(frame))).toEqual([]);
  });
});
