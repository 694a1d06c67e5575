/**
 * The tree tidies itself: what a reviewer would say every time is said here once.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "..");
const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const text = (file: string): string => readFileSync(join(root, file), "utf8");
const code = tracked.filter((file) => /\.(ts|js|mjs)$/.test(file) && !file.startsWith("fixtures/"));
const topLevel = new Set([
  "package.json",
  "package-lock.json",
  "tsconfig.json",
  "packages",
  "fixtures",
  "bench",
  "docs",
  ".ci",
  "README.md",
  "CHANGELOG.md",
  "LICENSE",
  ".gitignore",
  ".npmrc",
]);

describe("the tree", () => {
  it("has nothing at its top but what the house rules name", () => {
    expect([...new Set(tracked.map((file) => file.split("/")[0] ?? ""))].filter((name) => !topLevel.has(name))).toEqual([]);
  });

  it("has no file with a name that says nothing", () => {
    const empty = /^(utils?|helpers?|common|misc|index|shared|lib|stuff|constants)\.(ts|js|mjs)$/;
    expect(code.filter((file) => empty.test(basename(file)))).toEqual([]);
  });

  it("has no folder with a name that says nothing", () => {
    expect(code.filter((file) => /(^|\/)(utils?|helpers?|common|misc)\//.test(file))).toEqual([]);
  });

  it("has lines of at most 150 columns", () => {
    const long = code.flatMap((file) =>
      text(file)
        .split("\n")
        .flatMap((line, at) => (line.length > 150 ? [`${file}:${at + 1} has ${line.length}`] : [])),
    );
    expect(long).toEqual([]);
  });

  it("leaves no note to self behind", () => {
    const note = /\b(TODO|FIXME|XXX|HACK)\b/;
    expect(code.filter((file) => file !== ".ci/tidy.test.ts" && note.test(text(file)))).toEqual([]);
  });

  it("focuses or postpones no test silently", () => {
    const focused = /\b(it|test|describe)\.(only|todo)\(|\bxit\(/;
    expect(code.filter((file) => file.endsWith(".test.ts") && file !== ".ci/tidy.test.ts" && focused.test(text(file)))).toEqual(
      [],
    );
  });

  it("holds no file over 1 MiB", () => {
    expect(tracked.filter((file) => statSync(join(root, file)).size > 1024 * 1024)).toEqual([]);
  });

  it("keeps shell and daemon entry points executable", () => {
    const run = statSync(join(root, ".ci/run"));
    expect(run.mode & 0o111).not.toBe(0);
  });
});

describe("source files", () => {
  /** Everything a file names in an import, resolved to a path in the tree. */
  const importsOf = (file: string): string[] => {
    const specifiers = [...text(file).matchAll(/(?:from|import)\s*\(?\s*["']([^"']+)["']/g)].map((match) => match[1] ?? "");
    // Files that are run rather than imported: `join(import.meta.dirname, "testing/idle…")`.
    const run = [...text(file).matchAll(/(?:import\.meta\.dirname,|new URL\()\s*["'`]([^"'`]+\.ts)["'`]/g)];
    const paths = run.map((match) => `./${match[1] ?? ""}`);
    return [...specifiers, ...paths].flatMap((specifier) => {
      const ours = /^@aether\/([a-z-]+)\/(.+)$/.exec(specifier);
      if (ours !== null) return [`packages/${ours[1]}/src/${ours[2]}.ts`];
      if (specifier.startsWith(".")) return [join(dirname(file), specifier)];
      return [];
    });
  };

  it("are all reached from a command, a bench, a test or the build", () => {
    const roots = code.filter(
      (file) =>
        file.endsWith(".test.ts") ||
        file.startsWith("bench/") ||
        file.startsWith(".ci/") ||
        /^packages\/[a-z]+\/bin\//.test(file) ||
        file === "packages/cli/src/aether.ts" ||
        file === "packages/node/src/aetherd.ts" ||
        file === "packages/cli/src/testing/fake-cloud.ts" ||
        /^packages\/sim\/src\/(sim|soak|mutants\/(mutants|lives)|chaos\/chaos)\.ts$/.test(file),
    );
    const live = new Set(roots);
    const queue = [...roots];
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      for (const target of importsOf(next)) {
        if (!live.has(target)) {
          live.add(target);
          queue.push(target);
        }
      }
    }
    expect(code.filter((file) => file.startsWith("packages/") && !live.has(file))).toEqual([]);
  });

  it("import only what exists", () => {
    const missing = code.flatMap((file) =>
      importsOf(file)
        .filter((target) => /\.(ts|js|json)$/.test(target) && !target.startsWith("..") && !existsSync(join(root, target)))
        .map((target) => `${file} -> ${target}`),
    );
    expect(missing.filter((row) => !row.startsWith(".ci/tidy.test.ts") && !row.includes("dist/"))).toEqual([]);
  });
});

describe("dependencies", () => {
  const manifest = JSON.parse(text("package.json")) as Record<
    "dependencies" | "devDependencies" | "optionalDependencies",
    Record<string, string>
  >;
  const names = [manifest.dependencies, manifest.devDependencies, manifest.optionalDependencies].flatMap((set) =>
    Object.keys(set),
  );

  it("each have a line in docs/dependencies.md", () => {
    const page = text("docs/dependencies.md");
    expect(names.filter((name) => !page.includes(`\`${name}\``))).toEqual([]);
  });

  it("are locked with every optional platform package, so that npm ci works", () => {
    const lock = JSON.parse(text("package-lock.json")) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const known = Object.keys(lock.packages).map((key) => key.replace(/^.*node_modules\//, ""));
    const missing = Object.values(lock.packages).flatMap((entry) =>
      Object.keys(entry.optionalDependencies ?? {}).filter((name) => !known.includes(name)),
    );
    expect([...new Set(missing)]).toEqual([]);
  });

  it("name no registry host", () => {
    const hosts = /registry\.npmjs|deb\.debian\.org|artifactory|nexus|verdaccio/;
    expect(
      tracked.filter((file) => file !== ".ci/tidy.test.ts" && statSync(join(root, file)).size < 1e6 && hosts.test(text(file))),
    ).toEqual([]);
  });
});
