import { describe, expect, it } from "vitest";
import type { Role } from "@aether/raft/types";
import { graceMaxMs, makeContactClock } from "./contact.ts";

const follower = (leader: number): Role => ({ state: "follower", term: 1, leader });
const leader: Role = { state: "leader", term: 2, leader: 1 };

describe("contact", () => {
  it("counts nobody's silence unless it leads", () => {
    const clock = makeContactClock(() => 0);
    clock.onRole(follower(2));
    expect(clock.ages([2], () => 0)).toBeNull();
  });

  it("counts from the last word heard", () => {
    let now = 0;
    const clock = makeContactClock(() => now);
    clock.onRole(follower(2));
    now = 1_000;
    clock.onRole(leader);
    now = 20_000;
    const heard = new Map([
      [2, 19_500],
      [3, 6_000],
    ]);
    expect([...(clock.ages([2, 3], (m) => heard.get(m)) ?? [])]).toEqual([
      [2, 500],
      [3, 14_000],
    ]);
  });

  it("does not hold it against a new member that it was not there before", () => {
    let now = 0;
    const clock = makeContactClock(() => now);
    clock.onRole(leader);
    now = 100_000;
    expect(clock.ages([4], () => undefined)?.get(4)).toBe(0);
    now = 104_000;
    expect(clock.ages([4], () => undefined)?.get(4)).toBe(4_000);
    expect(clock.ages([], () => undefined)?.size).toBe(0);
    expect(clock.ages([4], () => undefined)?.get(4)).toBe(0);
  });

  it("grants the length of the outage before it judges, and no more than the limit", () => {
    let now = 0;
    const clock = makeContactClock(() => now);
    clock.onRole(follower(2));
    now = 10_000;
    clock.onRole(follower(0));
    now = 15_000;
    clock.onRole(leader);
    now = 19_999;
    expect(clock.ages([2], () => 9_000)?.get(2)).toBe(0);
    now = 23_000;
    expect(clock.ages([2], () => 9_000)?.get(2)).toBe(3_000);

    let later = 0;
    const long = makeContactClock(() => later);
    later = 3_600_000;
    long.onRole(leader);
    expect(long.ages([2], () => undefined)?.get(2)).toBe(0);
    later += graceMaxMs + 1_000;
    expect(long.ages([2], () => undefined)?.get(2)).toBe(1_000);
  });

  it("forgets its grants when it stops leading", () => {
    let now = 0;
    const clock = makeContactClock(() => now);
    clock.onRole(leader);
    clock.onRole(follower(3));
    expect(clock.ages([2], () => 0)).toBeNull();
    now = 5_000;
    clock.onRole(leader);
    now = 6_000;
    expect(clock.ages([2], () => 0)?.get(2)).toBe(1_000);
  });
});
