import { describe, expect, it } from "vitest";
import { makePace, makeSharingPace, restMaxMs } from "./pace.ts";

/** A clock that moves when told to, and by every rest. */
function pacing() {
  const clock = { now: 1_000, rests: [] as number[] };
  const pace = makePace(
    () => clock.now,
    (ms, f) => {
      clock.rests.push(ms);
      clock.now += ms;
      f();
    },
  );
  const steps = async (...ms: number[]): Promise<void> => {
    for (const step of ms) {
      clock.now += step;
      await pace.rest();
    }
  };
  return { clock, steps };
}

describe("work at a pace", () => {
  it("rests after each step for as long as the step took, its rests not counted", async () => {
    const { clock, steps } = pacing();
    await steps(5, 20, 1);
    expect(clock.rests).toEqual([5, 20, 1]);
  });

  it("does not rest for a minute because the process was stopped for one", async () => {
    const { clock, steps } = pacing();
    await steps(60_000, 2);
    expect(clock.rests).toEqual([restMaxMs, 2]);
  });

  it("rests no longer than others have use for, and looks anew with every rest", async () => {
    const clock = { now: 0, used: 0, rests: [] as number[] };
    const after = (ms: number, f: () => void): void => {
      clock.rests.push(ms);
      clock.now += ms;
      f();
    };
    const pace = makeSharingPace(
      () => clock.now,
      after,
      () => clock.used,
    );
    for (const used of [0, 0, 0.05, 0.1, 0.25, 0.9, 0]) {
      clock.now += 10;
      clock.used = used;
      await pace.rest();
    }
    // the first is whole: nothing is known yet; each of the others is as long as the one before it was used
    expect(clock.rests).toEqual([10, 1, 1, 2, 4, 10, 10]);
  });
});
