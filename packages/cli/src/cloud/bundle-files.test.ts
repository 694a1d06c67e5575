import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bundleFiles } from "./bundle-files.ts";

describe("the files of a bundle", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "aether-modules-"));
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const put = (files: Readonly<Record<string, object | string>>): void => {
    for (const [name, content] of Object.entries(files)) {
      const path = join(root, "node_modules", name);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
    }
  };
  const installed = {
    "classic-level/package.json": { dependencies: { leaf: "1" } },
    "classic-level/index.js": "",
    "classic-level/LICENSE": "",
    "classic-level/README.md": "",
    "classic-level/binding.cc": "",
    "classic-level/deps/leveldb/db.js": "",
    "classic-level/prebuilds/linux-x64/classic-level.node": "",
    "classic-level/prebuilds/linux-x64/classic-level.musl.node": "",
    "classic-level/prebuilds/linux-arm64/classic-level.node": "",
    "classic-level/prebuilds/win32-x64/classic-level.node": "",
    "classic-level/node_modules/leaf/package.json": { dependencies: { twig: "1" } },
    "classic-level/node_modules/leaf/index.js": "",
    "leaf/package.json": {},
    "leaf/other-version.js": "",
    "twig/package.json": { dependencies: { leaf: "1" } },
    "twig/lib/index.mjs": "",
    "msgpackr-extract/package.json": { optionalDependencies: { "@m/linux-x64": "1", "@m/win32-x64": "1" } },
    "@m/linux-x64/package.json": {},
    "@m/linux-x64/node.node": "",
    "unused/package.json": {},
  };
  const parts = () => ({ node: "/usr/bin/node", daemon: "/x/aetherd.js", root, platform: "linux", arch: "x64" });

  it("are node, the daemon, and what it needs of modules for this platform; no sources, and nothing for others", () => {
    put(installed);
    const files = bundleFiles(parts());
    expect(files.map(({ name }) => name.replace("aether/node_modules/", "")).toSorted()).toEqual([
      "@m/linux-x64/node.node",
      "@m/linux-x64/package.json",
      "aether/aetherd.js",
      "aether/bin/node",
      "aether/package.json",
      "classic-level/LICENSE",
      "classic-level/index.js",
      "classic-level/node_modules/leaf/index.js",
      "classic-level/node_modules/leaf/package.json",
      "classic-level/package.json",
      "classic-level/prebuilds/linux-x64/classic-level.node",
      "leaf/other-version.js",
      "leaf/package.json",
      "msgpackr-extract/package.json",
      "twig/lib/index.mjs",
      "twig/package.json",
    ]);
    expect(files.filter(({ executable }) => executable).map(({ name }) => name)).toEqual(["aether/bin/node"]);
  });

  it("are none where a module is missing", () => {
    const { "twig/package.json": _, ...others } = installed;
    put(others);
    expect(() => bundleFiles(parts())).toThrow("the module twig is not installed");
  });
});
