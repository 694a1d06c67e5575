import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Story } from "./story.ts";

const folder = join(import.meta.dirname, "../../scenarios");
const update = process.env["UPDATE_SCENARIOS"] === "1";

/**
 * Plays a story: blocks of commands, each followed by a line "----" and what came of them, up to an empty line. Everything
 * else (comments, titles) stays as it is. Returns the text with the outcome as it is now.
 */
function play(text: string): string {
  const story = new Story();
  const told: string[] = [];
  const lines = text.trimEnd().split("\n");
  for (let i = 0; i < lines.length;) {
    const line = lines[i++]!;
    told.push(line);
    if (line === "" || line.startsWith("#")) continue;
    const commands = [line];
    while (i < lines.length && lines[i] !== "" && lines[i] !== "----") commands.push(lines[i++]!);
    told.push(...commands.slice(1), "----");
    while (i < lines.length && lines[i] !== "") i++;
    const outcome = commands.map((command) => story.run(command)).filter((part) => part !== "ok");
    told.push(outcome.length === 0 ? "ok" : outcome.join("\n"));
  }
  return told.join("\n") + "\n";
}

const files = readdirSync(folder).filter((name) => name.endsWith(".txt"));

describe("scenarios", () => {
  it("there are stories for every part of the contract", () => {
    expect(files.length).toBeGreaterThanOrEqual(14);
  });

  for (const name of files) {
    it(name.replace(".txt", "").replaceAll("-", " "), () => {
      const path = join(folder, name);
      const text = readFileSync(path, "utf8");
      const told = play(text);
      if (update) writeFileSync(path, told);
      else expect(told).toBe(text);
    });
  }
});
