import { describe, expect, it } from "vitest";
import { makePace, restMaxMs } from "./pace.ts";

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
});
