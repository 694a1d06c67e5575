import { describe, expect, it } from "vitest";
import { lossyWriter, makeLog, renderLine } from "./log.ts";

const at = new Date("2026-11-21T12:00:00.123Z");

describe("the daemon's log", () => {
  it("writes one line per event, whatever the values hold", () => {
    const line = renderLine(at, "warn", "verdict", { member: 3, why: 'a "hole"\nat 7', free: "", left: null, gone: undefined });
    expect(line).toBe('2026-11-21T12:00:00.123Z warn verdict member=3 why="a \\"hole\\"\\nat 7" free="" left=null');
    expect(line).not.toContain("\n");
  });

  it("cuts a value that is longer than a line should be", () => {
    const line = renderLine(at, "info", "x", { big: "y".repeat(10_000) });
    expect(line.length).toBeLessThan(2_100);
    expect(line.endsWith("…")).toBe(true);
  });

  it("carries its fields into every line", () => {
    const lines: string[] = [];
    makeLog(
      (l) => lines.push(l),
      () => at,
      { node: "n1" },
    )
      .with({ member: 2 })
      .error("fatal", { code: 70 });
    expect(lines).toEqual(["2026-11-21T12:00:00.123Z error fatal node=n1 member=2 code=70"]);
  });

  it("outlives a disk without space, and says how many lines it lost", () => {
    let written = "";
    let full = false;
    const write = lossyWriter(
      (text) => {
        if (!full) written += text;
        else throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      },
      (lost) => `lost=${lost}`,
    );
    write("one");
    full = true;
    write("two");
    write("three");
    full = false;
    write("four");
    write("five");
    expect(written.split("\n")).toEqual(["one", "", "lost=2", "four", "five", ""]);
  });
});
