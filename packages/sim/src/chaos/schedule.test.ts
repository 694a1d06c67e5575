import { describe, expect, it } from "vitest";
import { drawSchedule, plainKinds, type Happening } from "./schedule.ts";

const options = { members: 3, forMs: 600_000, without: [], disasters: ["old-disk", "slow-disk"] };
const kindsOf = (schedule: readonly Happening[]): Set<string> => new Set(schedule.map(({ kind }) => kind));
const ofKind = (schedule: readonly Happening[], kind: string): readonly Happening[] =>
  schedule.filter((one) => one.kind === kind);

describe("a schedule of faults", () => {
  it("is drawn from its seed alone", () => {
    expect(drawSchedule({ ...options, seed: 7 })).toEqual(drawSchedule({ ...options, seed: 7 }));
    expect(drawSchedule({ ...options, seed: 7 })).not.toEqual(drawSchedule({ ...options, seed: 8 }));
  });

  it("has every kind, in the order of time, within its time", () => {
    const schedule = drawSchedule({ ...options, seed: 7 });
    expect(kindsOf(schedule)).toEqual(new Set([...plainKinds, "disaster"]));
    expect(schedule.map(({ atMs }) => atMs)).toEqual(schedule.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
    expect(schedule.every(({ atMs }) => atMs >= 0 && atMs < options.forMs)).toBe(true);
  });

  it("stays what it is when a kind or a disaster is left out", () => {
    const whole = drawSchedule({ ...options, seed: 7 });
    const less = drawSchedule({ ...options, seed: 7, without: ["kill", "old-disk"] });
    expect(less).toEqual(whole.filter((one) => one.kind !== "kill" && !(one.kind === "disaster" && one.name === "old-disk")));
    expect(ofKind(less, "disaster").length).toBeGreaterThan(0);
  });

  it("kills and pauses between 0.1 and 2 times a second, or as often as it is told", () => {
    const perSecond = (seed: number, kind: string, rate?: number): number =>
      (ofKind(drawSchedule({ ...options, seed, rate }), kind).length * 1_000) / options.forMs;
    const drawn = Array.from({ length: 100 }, (_, seed) => perSecond(seed, "kill"));
    expect(Math.min(...drawn)).toBeGreaterThan(0.05);
    expect(Math.min(...drawn)).toBeLessThan(0.2);
    expect(Math.max(...drawn)).toBeLessThan(2.4);
    expect(Math.max(...drawn)).toBeGreaterThan(1.2);
    for (const kind of ["kill", "pause"]) expect(perSecond(1, kind, 0.5)).toBeCloseTo(0.5, 0);
  });

  it("has one disaster at a time", () => {
    const disasters = drawSchedule({ ...options, seed: 7 }).filter((one) => one.kind === "disaster");
    for (const [at, { atMs, forMs }] of disasters.entries()) {
      expect(atMs + forMs).toBeLessThanOrEqual(disasters[at + 1]?.atMs ?? Infinity);
    }
  });
});
