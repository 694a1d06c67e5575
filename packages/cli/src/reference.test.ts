import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commands, groups } from "./commands.ts";
import { renderReference } from "./reference.ts";

const page = join(import.meta.dirname, "../../../docs/cli.md");

describe("docs/cli.md", () => {
  it("is what the command table says", () => {
    const rendered = renderReference(commands, groups);
    if (process.env["AETHER_WRITE_DOCS"] === "1") writeFileSync(page, rendered);
    expect(readFileSync(page, "utf8")).toBe(rendered);
  });
});
