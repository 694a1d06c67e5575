/** What docs/providers/ tells people to type exists: files are read, command lines parsed, variables and keys looked up. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseClusterFile } from "@aether/core/config/cluster-file";
import { sections } from "@aether/core/config/cluster-schema";
import { commands, groups } from "./commands.ts";
import { parseCommandLine } from "./shell/parse.ts";

const root = join(import.meta.dirname, "../../..");
const folder = join(root, "docs/providers");
const pages = readdirSync(folder).filter((name) => name.endsWith(".md"));
const textOf = (name: string): string => readFileSync(join(folder, name), "utf8");
const blocks = (text: string, kind: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${kind}\\n(.*?)\\n\`\`\`$`, "gms"))].map(([, block = ""]) => block);

/** All of our own sources that are no tests. */
const sources = ["cloud", "core", "node", "cli"]
  .flatMap((room) => {
    const src = join(root, "packages", room, "src");
    const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter(
      (file) => file.endsWith(".ts") && !file.endsWith(".test.ts"),
    );
    return files.map((file) => readFileSync(join(src, file), "utf8"));
  })
  .join("\n");

/** The words of a command line after `aether`; null for another program's. */
function wordsOf(line: string): readonly string[] | null {
  const words = line.replace(/\s+#.*$/, "").split(/\s+/);
  const at = words.findIndex((word) => !/^[A-Z_]+=/.test(word));
  return words[at] === "aether" ? words.slice(at + 1) : null;
}

describe.each(pages)("docs/providers/%s", (name) => {
  const page = textOf(name);

  it("shows cluster files that can be read", () => {
    // A part of a file stands for the whole that has it.
    const cloud = 'provider = "hetzner"\nregion = "fsn1"\ninstance_type = "cx22"';
    const rest = `[cluster]\nname = "a"\n[security]\ncluster_secret = "0123456789abcdef"\n[cloud]\n${cloud}\n`;
    for (const shown of blocks(page, "toml")) {
      const block = shown.replace("sha256=…", `sha256=${"0".repeat(64)}`);
      const text = block.includes("[cluster]") ? block : `${rest}${block.replace(/^\[cloud\]\n/, "")}`;
      const env = { GOOGLE_CLOUD_PROJECT: "fleet-production", AZURE_SUBSCRIPTION_ID: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9" };
      expect(parseClusterFile(text, { env, readSecret: () => "0123456789abcdef" })).toHaveProperty("ok.cloud.provider");
    }
  });

  it("shows command lines that the command knows", () => {
    const shown = blocks(page, "(?:sh|console)").flatMap((block) => block.split("\n"));
    const spoken = [...page.matchAll(/`(aether [a-z-]+ [^`]+)`/g)].map(([, line = ""]) => line);
    for (const line of shown) {
      const words = wordsOf(line);
      if (words !== null) expect(() => parseCommandLine(words, commands, groups), line).not.toThrow();
    }
    // In a sentence flags may be left out.
    const paths = commands.map(({ path }) => `aether ${path.join(" ")}`);
    expect(spoken.filter((line) => !paths.some((path) => `${line} `.startsWith(`${path} `)))).toEqual([]);
  });

  it("shows scripts that package.json has", () => {
    const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: Record<string, string> };
    const run = [...page.matchAll(/npm run ([a-z-]+)/g)].map(([, script = ""]) => script);
    expect(run.filter((script) => scripts[script] === undefined)).toEqual([]);
  });

  it("names variables that our programs read", () => {
    // AETHER_SECRET_… are made from paths.
    const named = [...page.matchAll(/\b(?:AETHER|AWS|HCLOUD|GOOGLE|AZURE|IDENTITY|CLOUDSDK)_[A-Z0-9_]+\b/g)].map(
      ([variable]) => variable,
    );
    const read = (variable: string): boolean =>
      sources.includes(variable) || /^AETHER_(SECRET_|[A-Z]+_(?:[A-Z0-9_]+_)?ENDPOINT$)/.test(variable);
    expect([...new Set(named)].filter((variable) => !read(variable))).toEqual([]);
  });

  it("names keys that a cluster file has", () => {
    for (const [, section = "", key = ""] of page.matchAll(/`\[(\w+)\] (\w+)`/g)) {
      expect(sections.get(section)?.keys.has(key), `[${section}] ${key}`).toBe(true);
    }
    const all = new Set([...sections.values()].flatMap(({ keys }) => [...keys.keys()]));
    const set = [...page.matchAll(/`(\w+) = [^`]+`/g)].map(([, key = ""]) => key);
    expect(set.filter((key) => !all.has(key))).toEqual([]);
  });

  it("leads to files that exist", () => {
    const links = [...page.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = ""]) =>
      join(dirname(join(folder, name)), link),
    );
    expect(links.filter((link) => !existsSync(link))).toEqual([]);
  });
});
