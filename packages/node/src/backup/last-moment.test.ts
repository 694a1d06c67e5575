import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LastMoment, type Found } from "./last-moment.ts";

const at = (index: number, count = 1): Found => {
  const things = Array.from({ length: count }, (_, i) => ({ noun: "setting", id: `a/${i}`, wanted: { value: i } }));
  return { source: { commit: null, index, at: 1 }, things };
};

describe("the moment that was planned last", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is there for the restore that follows, once, and for none of another moment", () => {
    const moments = new LastMoment();
    expect(moments.take(5)).toBeNull();
    moments.keep(at(5));
    moments.keep(at(6));
    expect(moments.take(5)).toBeNull();
    expect(moments.take(6)).toEqual(at(6));
    expect(moments.take(6)).toBeNull();
  });

  it("goes after a minute that is its own, and is not kept when it is large", () => {
    const moments = new LastMoment();
    moments.keep(at(5));
    vi.advanceTimersByTime(59_000);
    moments.keep(at(6));
    vi.advanceTimersByTime(59_000);
    expect(moments.take(6)).toEqual(at(6));
    moments.keep(at(7));
    vi.advanceTimersByTime(60_000);
    expect(moments.take(7)).toBeNull();
    moments.keep(at(8, 100_001));
    expect(moments.take(8)).toBeNull();
  });
});
