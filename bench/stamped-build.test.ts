import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readStamps, withStamps } from "./stamped-build.ts";

describe("a build with stamps", () => {
  it("is refused when a step is not found in the bundle, and says which", () => {
    expect(() => withStamps("function main() {}\n", "/nowhere")).toThrow(/found 0 times in the bundle.*onMessage/);
  });

  it("has its stamps read back in order of time, whatever place of the ring they stood in", () => {
    const folder = mkdtempSync(join(tmpdir(), "aether-stamps-"));
    try {
      const file = join(folder, "1.stamps");
      writeFileSync(file, new Uint8Array(new Float64Array([7, 12, 30, 0, 0, 10, 99, 1, 20]).buffer));
      expect(readStamps(file)).toEqual([
        { step: "asked", index: 0, us: 10 },
        { step: "durable", index: 12, us: 30 },
      ]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
