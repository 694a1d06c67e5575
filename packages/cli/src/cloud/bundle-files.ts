/** What a machine needs in order to run aetherd: node itself, the daemon's bundle, and the modules that are compiled for this platform. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import type { ArchiveFile } from "./tarball.ts";

export interface BundleParts {
  /** The node binary. */
  readonly node: string;
  /** `aetherd.js`, as the build makes it. */
  readonly daemon: string;
  /** Whose node_modules hold the native modules. */
  readonly root: string;
  readonly platform: string;
  readonly arch: string;
}

/** Modules that the bundle leaves to node (.ci/build.ts, `external`), of those that the daemon uses. */
const native = ["classic-level", "msgpackr-extract"];
const depthMax = 16;

/** The files of the bundle, all below `aether/`. Throws when a module is not installed. */
export function bundleFiles(p: BundleParts): readonly ArchiveFile[] {
  const modules = new Set<string>();
  for (const name of native) addModule(p.root, p.root, name, modules, 0);
  const files: ArchiveFile[] = [
    { name: "aether/bin/node", from: p.node, executable: true },
    { name: "aether/aetherd.js", from: p.daemon, executable: false },
    { name: "aether/package.json", from: Buffer.from('{ "type": "module" }\n'), executable: false },
  ];
  for (const folder of modules) {
    for (const file of filesBelow(folder, p, 0)) {
      files.push({ name: `aether/${relative(p.root, file)}`, from: file, executable: false });
    }
  }
  return files;
}

/** The folder of a module and those of all that it needs, as node would find them. */
function addModule(root: string, from: string, name: string, found: Set<string>, depth: number): void {
  if (depth > depthMax) throw new Error(`${name} is needed ${depthMax} modules deep`);
  const folder = findModule(root, from, name);
  if (folder === null) throw new Error(`the module ${name} is not installed in ${root}`);
  if (found.has(folder)) return;
  found.add(folder);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    readonly dependencies?: object;
    readonly optionalDependencies?: object;
  };
  for (const needed of Object.keys(dependencies)) {
    if (!(needed in optionalDependencies)) addModule(root, folder, needed, found, depth + 1);
  }
  // Those for other platforms are not installed here.
  for (const wished of Object.keys(optionalDependencies)) {
    if (findModule(root, folder, wished) !== null) addModule(root, folder, wished, found, depth + 1);
  }
}

function findModule(root: string, from: string, name: string): string | null {
  for (let folder = from; folder.startsWith(root); folder = dirname(folder)) {
    const found = join(folder, "node_modules", name);
    if (existsSync(join(found, "package.json"))) return found;
  }
  return null;
}

const leftOut = new Set(["node_modules", "deps", "src", "test", "tests", "bin", "benchmark", ".github"]);

/** What runs of a module, and its licence: no sources, no texts, nothing compiled for other platforms. */
function filesBelow(folder: string, p: BundleParts, depth: number): readonly string[] {
  if (depth > depthMax) throw new Error(`${folder} is ${depthMax} folders deep`);
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) {
      const isOther = folder.endsWith("prebuilds") && name !== `${p.platform}-${p.arch}`;
      return leftOut.has(name) || isOther ? [] : filesBelow(path, p, depth + 1);
    }
    // Node's own builds need glibc.
    if (name.endsWith(".node")) return name.includes("musl") ? [] : [path];
    return /\.(?:js|cjs|mjs|json)$|^LICEN[CS]E/.test(name) ? [path] : [];
  });
}
