import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Bindings, readPage } from "./testing/page.ts";
import { PageShell } from "./testing/page-shell.ts";

const docs = join(import.meta.dirname, "../../../docs");
const badDays = readdirSync(join(docs, "bad-days")).filter((name) => name.endsWith(".md") && name !== "README.md");
const pages = ["backup.md", ...badDays.map((name) => `bad-days/${name}`)].toSorted();

describe.each(pages)("docs/%s, typed in on a real cluster", (page) => {
  const text = readFileSync(join(docs, page), "utf8");
  const commands = readPage(text);
  const names = new Bindings(text);
  let opened: PageShell | null = null;
  afterAll(() => opened?.dispose());

  it("does in every line what it says", { timeout: 300_000 }, async () => {
    expect(commands.length).toBeGreaterThan(0);
    const shell = new PageShell();
    opened = shell;
    for (const { line, text: command, exitCode, prints } of commands) {
      const filled = names.fill(command);
      const { code, printed } = await shell.run(filled);
      const where = `${page}:${line}: ${filled}\n${printed.join("\n")}\n`;
      expect(code, where).toBe(exitCode);
      const missing = prints === null ? null : names.firstMissing(prints, printed);
      expect(missing, where).toBeNull();
    }
  });
});
