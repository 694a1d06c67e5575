import { describe, expect, it } from "vitest";
import { optionLines, parseBench, type BenchOptions } from "./options.ts";

const defaults = { program: "/dist/aetherd.js", results: "bench/results", scratch: "bench/.work/results" };

function options(...args: string[]): BenchOptions {
  const parsed = parseBench(args, defaults);
  if (!parsed.ok) throw new Error(parsed.why);
  return parsed.request.options;
}
const whyNot = (...args: string[]): string => {
  const parsed = parseBench(args, defaults);
  return parsed.ok ? "it was taken" : parsed.why;
};

describe("the bench's command line", () => {
  it("measures everything at full size when nothing is asked", () => {
    const parsed = parseBench([], defaults);
    expect(parsed).toMatchObject({ ok: true, request: { parts: [], help: false } });
    expect(options()).toMatchObject({ rounds: 5, inFlight: [1, 16, 64, 256, 1000], events: 1_000_000, etcd: true });
  });

  it("keeps what a look or another build measured away from the results that the page shows", () => {
    expect(options().out).toBe("bench/results");
    expect(options("--quick").out).toBe("bench/.work/results");
    expect(options("--build", "mine=/x.js").out).toBe("bench/.work/results");
    expect(options("--quick", "--out", "/elsewhere").out).toBe("/elsewhere");
  });

  it("takes several parts and numbers of the caller's own", () => {
    const parsed = parseBench(["commits", "reads", "--rounds", "7", "--in-flight", "1,8", "--seconds", "0.5"], defaults);
    expect(parsed).toMatchObject({
      ok: true,
      request: { parts: ["commits", "reads"], options: { rounds: 7, inFlight: [1, 8], seconds: 0.5 } },
    });
  });

  it("compares the builds it is given, in their order", () => {
    expect(options("--build", "old=/a.js", "--build", "new=/b=c.js").builds).toEqual([
      { name: "old", program: "/a.js" },
      { name: "new", program: "/b=c.js" },
    ]);
    expect(options().builds).toEqual([{ name: "aether", program: "/dist/aetherd.js" }]);
  });

  it("says which option does not fit", () => {
    expect(whyNot("--rounds", "none")).toContain("--rounds");
    expect(whyNot("--kills", "1.5")).toContain("--kills");
    expect(whyNot("--in-flight", "64,0")).toContain("--in-flight");
    expect(whyNot("--in-flight", "5000")).toContain("--in-flight");
    expect(whyNot("--build", "nameless")).toContain("--build");
    expect(whyNot("--fast")).toContain("--fast");
  });

  it("explains every option that it takes", () => {
    const explained = optionLines.map((line) => /^--([a-z-]+)/.exec(line)?.[1]);
    for (const name of ["rounds", "kills", "events", "in-flight", "no-etcd", "build", "out", "quick"])
      expect(explained).toContain(name);
  });
});
