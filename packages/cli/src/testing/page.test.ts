import { describe, expect, it } from "vitest";
import { Bindings, readPage } from "./page.ts";

const page = `# A bad day
<!-- run: aether cluster bootstrap --config cluster.toml -->
Look:
\`\`\`console
$ aether backup list
COMMIT       INDEX   AGE
4f1c2ab9d0      41   3.2 s
$ aether backup restore 4f1c2ab9 \\
    --yes
restored 1 thing at index 52
$ aether backup verify   # exit code 1
…
\`\`\`
\`\`\`sh
not run
\`\`\`
`;

describe("a page of commands", () => {
  it("is read with what sets its scene, what is printed and how commands end", () => {
    expect(readPage(page)).toEqual([
      { line: 2, text: "aether cluster bootstrap --config cluster.toml", exitCode: 0, prints: null },
      { line: 5, text: "aether backup list", exitCode: 0, prints: ["COMMIT       INDEX   AGE", "4f1c2ab9d0      41   3.2 s"] },
      { line: 8, text: "aether backup restore 4f1c2ab9 \\\n    --yes", exitCode: 0, prints: ["restored 1 thing at index 52"] },
      { line: 11, text: "aether backup verify", exitCode: 1, prints: ["…"] },
    ]);
  });

  it("may name a commit, an index and a time that were printed, whole or shortened, and is held to them", () => {
    const names = new Bindings("index 41");
    expect(names.fits("4f1c2ab9d0 41 2026-11-21 12:01:07 3.2 s", "99c0ffee00     7   2027-01-01 00:00:00   1m 05s")).toBe(true);
    expect(names.fill("restore 4f1c2ab9 --at-index 41 --at '2026-11-21 12:01:07'")).toBe(
      "restore 99c0ffee --at-index 7 --at '2027-01-01 00:00:00'",
    );
    expect(names.fits("from commit 4f1c2ab9d0", "from commit 99c0ffee00")).toBe(true);
    expect(names.fits("from commit 4f1c2ab9d0", "from commit 88c0ffee00")).toBe(false);
    expect(names.fits("41 at 127.0.0.1:27717", "7 at 127.0.0.1:1")).toBe(true);
    expect(names.fits("back at index 41", "back at index 8")).toBe(false);
    expect(() => names.fill("aether backup show 9d02e771")).toThrow("was not printed");
  });

  it("is held to every other word and count", () => {
    const names = new Bindings("");
    expect(names.fits("restored 2 things", "restored 3 things")).toBe(false);
    expect(names.fits("~ setting cpu_warning  value 0.9 → 0.8", "~ setting cpu_warning  value 0.9 → 0.7")).toBe(false);
    expect(names.fits("     41  2026-11-21 12:01:07  x", "      9  2027-01-01 00:00:00  x")).toBe(true);
    expect(names.firstMissing(["a", "…", "d 1"], ["a", "b", "c", "d 1"])).toBeNull();
    expect(names.firstMissing(["a", "…"], ["a", "b", "c"])).toBeNull();
    expect(names.firstMissing(["a", "…", "e"], ["a", "b"])).toBe("e");
    expect(names.firstMissing(["a"], ["a", "b"])).toContain("there was: b");
  });
});
