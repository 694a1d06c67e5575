/** docs/providers/writing-a-provider.md says what the tiny provider does, in its own words. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/providers/writing-a-provider.md"), "utf8");
const folder = "packages/cloud/src/testing/tiny-provider";

/** Lines without what is before the least indented of them. */
function bare(lines: readonly string[]): readonly string[] {
  const indent = Math.min(...lines.filter((line) => line !== "").map((line) => line.length - line.trimStart().length));
  return lines.map((line) => line.slice(indent));
}

/** Does the block stand somewhere in the text, at whatever depth? */
function quotes(text: string, block: string): boolean {
  const wanted = block.split("\n");
  const lines = text.split("\n");
  return lines.some((_, at) => bare(lines.slice(at, at + wanted.length)).join("\n") === block);
}

const blocks = [...page.matchAll(/^```ts\n(.*?)\n```$/gms)].map(([, block = ""]) => block);
const sources = readdirSync(join(root, folder)).map((name) => readFileSync(join(root, folder, name), "utf8"));

describe("the guide to writing a provider", () => {
  it.each(blocks.map((block) => [block.split("\n")[0] ?? "", block] as const))("quotes the tiny provider: %s", (_, block) => {
    expect(sources.some((source) => quotes(source, block))).toBe(true);
  });

  it("would notice a line that the provider no longer has", () => {
    const [block = ""] = blocks;
    expect(blocks.length).toBeGreaterThan(5);
    expect(sources.some((source) => quotes(source, block.replace("idempotent: false", "idempotent: true")))).toBe(false);
  });

  it("names files that exist", () => {
    const named = [...page.matchAll(/`((?:packages|fixtures|docs)\/[\w./-]+)`/g)].map(([, path = ""]) => path);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    const local = [...page.matchAll(/`((?:http|testing|hetzner)\/[\w./-]+|[a-z]+\.ts)`/g)].map(([, path = ""]) => path);
    const places = ["packages/cloud/src", folder].map((place) => join(root, place));
    expect(local.filter((path) => !places.some((place) => existsSync(join(place, path))))).toEqual([]);
  });
});
