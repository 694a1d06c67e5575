import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { blockOf, table, trustPage, withBlock, writeBlock } from "./page.ts";

const page =
  "# A\n<!-- one begins: made by x -->\nold\n<!-- one ends -->\nbetween\n<!-- two begins: made by y -->\n<!-- two ends -->\nend\n";

describe("a block of a page", () => {
  it("is rewritten, with the command that made it, and nothing else is", () => {
    const after = withBlock(page, "two", "npm run y", "| new |\n");
    expect(blockOf(after, "two")).toBe("| new |");
    expect(after).toBe(page.replace("<!-- two begins: made by y -->\n", "<!-- two begins: made by npm run y -->\n| new |\n"));
    expect(blockOf(withBlock(after, "two", "y", "newer"), "two")).toBe("newer");
  });

  it("must be there", () => {
    expect(() => withBlock(page, "three", "z", "")).toThrow("no block three");
    expect(() => blockOf("<!-- one begins: made by x -->\n", "one")).toThrow("no block one");
  });

  it("is written to disk at once", async () => {
    const folder = await mkdtemp(join(tmpdir(), "page-"));
    try {
      const path = join(folder, "page.md");
      await writeFile(path, page);
      await writeBlock("one", "x", "new", path);
      expect(blockOf(await readFile(path, "utf8"), "one")).toBe("new");
      expect(await readdir(folder)).toEqual(["page.md"]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

it("a table sets numbers to the right", () => {
  expect(
    table(
      ["what", "count"],
      [
        ["a", 1234],
        ["b", 5],
      ],
    ),
  ).toBe("| what | count |\n|---|---:|\n| a | 1,234 |\n| b | 5 |");
});

it("the page of trust has the blocks that programs write", async () => {
  const text = await readFile(trustPage, "utf8");
  for (const name of ["soak", "mutants", "chaos"]) expect(() => blockOf(text, name)).not.toThrow();
});
