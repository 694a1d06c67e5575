import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";

const packages = join(import.meta.dirname, "../..");

/** Packages of others that are loaded before a module's first line runs, its own imports' imports included. Types cost nothing. */
function loadedBy(file: string): readonly string[] {
  const seen = new Set<string>();
  const foreign = new Set<string>();
  const queue = [join(import.meta.dirname, file)];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (seen.has(next) || next.endsWith(".json")) continue;
    seen.add(next);
    const imports = readFileSync(next, "utf8").matchAll(/^(?:import|export)(?! type)[^;]*?from "([^"]+)";/gm);
    for (const [, specifier = ""] of imports) {
      const ours = /^@aether\/([a-z]+)\/(.+)$/.exec(specifier);
      if (specifier.startsWith(".")) queue.push(join(dirname(next), specifier));
      else if (ours !== null) queue.push(join(packages, ours[1] ?? "", "src", `${ours[2]}.ts`));
      else if (!specifier.startsWith("node:")) foreign.add(specifier.split("/")[0] ?? "");
    }
  }
  return [...foreign].toSorted((a, b) => (a < b ? -1 : 1));
}

describe("what a command waits for before it begins", () => {
  it("is nothing but node's own modules, for the command line itself", () => {
    expect(loadedBy("aether.ts")).toEqual([]);
  });

  it.each(["settings/get.ts", "settings/set.ts", "node/list.ts", "node/drain.ts", "log/events.ts", "cluster/status.ts"])(
    "is no more than the reader of the contexts file, for %s",
    (file) => {
      expect(loadedBy(file)).toEqual(["smol-toml"]);
    },
  );

  it("is found by this test where it is large", () => {
    expect(loadedBy("bootstrap/bootstrap.ts")).toContain("effect");
  });
});
