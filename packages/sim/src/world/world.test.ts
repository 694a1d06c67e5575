import { describe, expect, it } from "vitest";
import { makeStream } from "./stream.ts";
import { Process, World } from "./world.ts";

const never = (): boolean => false;
const nothing = (): void => undefined;

describe("virtual time", () => {
  it("lets promises settle before anything else happens, and keeps the order of asking", async () => {
    const world = new World();
    const seen: string[] = [];
    world.after(5, null, "a", () => {
      seen.push("a");
      void Promise.resolve()
        .then(() => Promise.resolve())
        .then(() => seen.push("a settled"));
    });
    world.after(5, null, "b", () => seen.push("b"));
    world.after(1, null, "first", () => seen.push("first"));
    await world.run(10, never, nothing);
    expect(seen).toEqual(["first", "a", "a settled", "b"]);
    expect(world.now).toBe(10);
  });

  it("runs nothing of a dead process, and what a stopped one missed when it goes on", async () => {
    const world = new World();
    const [dead, stopped] = [new Process("dead"), new Process("stopped")];
    const seen: string[] = [];
    world.after(1, dead, "x", () => seen.push("dead"));
    world.after(1, stopped, "x", () => seen.push(`stopped at ${world.now}`));
    const cancel = world.after(1, stopped, "x", () => seen.push("cancelled"));
    dead.die();
    stopped.paused = true;
    world.after(20, null, "x", () => world.resume(stopped));
    await world.run(10, never, nothing);
    cancel();
    expect(seen).toEqual([]);
    await world.run(30, never, nothing);
    expect(seen).toEqual(["stopped at 20"]);
  });

  it("ends at its deadline, or when what was waited for is there", async () => {
    const world = new World();
    let ticks = 0;
    const tick = (): void => {
      ticks += 1;
      world.after(1, null, "tick", tick);
    };
    tick();
    expect(await world.run(5, () => ticks >= 3, nothing)).toBe(true);
    expect(world.now).toBe(2);
    expect(await world.run(5, () => ticks >= 100, nothing)).toBe(false);
    expect(world.now).toBe(5);
  });
});

describe("chance", () => {
  it("is the same for the same seed and concern, and another for any other", () => {
    const draw = (seed: number, concern: string): string => {
      const stream = makeStream(seed, concern);
      return Array.from({ length: 8 }, () => stream.below(1_000)).join();
    };
    expect(draw(1, "net")).toBe(draw(1, "net"));
    const drawn = [draw(1, "net"), draw(1, "disk"), draw(2, "net"), draw(2 ** 32 + 1, "net")];
    expect(new Set(drawn).size).toBe(4);
  });

  it("is even, and has the mean that is asked for", () => {
    const stream = makeStream(7, "x");
    const many = Array.from({ length: 20_000 }, () => stream.next());
    expect(many.reduce((a, b) => a + b) / many.length).toBeCloseTo(0.5, 1);
    const around = Array.from({ length: 20_000 }, () => stream.around(10));
    expect(Math.abs(around.reduce((a, b) => a + b) / around.length - 10)).toBeLessThan(0.5);
  });
});
