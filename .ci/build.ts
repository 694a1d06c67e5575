/**
 * Bundles the two commands: packages/cli/dist/aether.js in parts that load when they are needed, and packages/node/dist/aetherd.js
 * in one piece, because a daemon outlives the next build and must not look for parts that are gone.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { build, type BuildOptions } from "esbuild";

const root = resolve(import.meta.dirname, "..");
const at = (path: string): string => join(root, path);

/** Native modules, and those that ws looks for but does not need: found in node_modules at run time. */
const external = ["classic-level", "msgpackr-extract", "node-pty", "bufferutil", "utf-8-validate"];

const shared: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22",
  external,
  // Readable: a stack trace names functions, and parsing it costs a command less than 2 ms.
  minifySyntax: true,
  // Packages of both kinds give their ES modules, so that named imports are what they are without a bundle.
  mainFields: ["module", "main"],
  legalComments: "none",
  metafile: true,
  logLevel: "warning",
  // CommonJS packages inside the bundle call require for node's own modules.
  banner: { js: 'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);' },
};

async function bundle(name: string, folder: string, options: BuildOptions): Promise<void> {
  const made = await build({
    ...shared,
    ...options,
    entryPoints: [at(`${folder}/src/${name}.ts`)],
    outdir: at(`${folder}/dist`),
    write: false,
  });
  for (const { path, contents } of made.outputFiles) replaceOld(path, contents);
  const outputs = Object.keys(made.metafile?.outputs ?? {});
  removeOld(at(`${folder}/dist`), new Set(outputs.map((output) => at(output))));
  const bytes = Object.values(made.metafile?.outputs ?? {}).reduce((sum, output) => sum + output.bytes, 0);
  console.error(`${relative(root, at(`${folder}/dist/${name}.js`))}: ${outputs.length} files, ${Math.round(bytes / 1024)} KiB`);
}

/** In one step, and only where it is another: daemons and commands may be starting meanwhile. */
function replaceOld(path: string, contents: Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(contents)) return;
  mkdirSync(dirname(path), { recursive: true });
  const making = `${path}.making-${process.pid}`;
  writeFileSync(making, contents);
  renameSync(making, path);
}

/** Parts of earlier builds. Those with the same content kept their names, so a command that runs meanwhile finds its parts. */
function removeOld(dist: string, made: ReadonlySet<string>): void {
  for (const file of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    if (file.isFile() && !made.has(path) && basename(path).endsWith(".js")) rmSync(path);
  }
}

await bundle("aether", "packages/cli", { splitting: true, chunkNames: "parts/[name]-[hash]" });
await bundle("aetherd", "packages/node", {});
