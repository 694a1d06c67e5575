/** A private copy of the packages' sources, in which one fault at a time is put and taken out again. */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mutant, mutate } from "./patch.ts";

export const root = join(import.meta.dirname, "../../../..");
export const mutantsFolder = join(root, "packages/sim/mutants");

const lives = "packages/sim/src/mutants/lives.ts";

export interface Copy {
  /** The program that lives seeds on the copied sources. */
  readonly program: string;
  /** Throws when the mutant does not apply. */
  put(mutant: Mutant): void;
  takeOut(): void;
  remove(): void;
}

/**
 * Copies the sources; what is in node_modules is only linked, but @aether/* is what was copied. Node resolves links to where
 * they point, so nothing of the original packages is loaded.
 */
export function makeCopy(): Copy {
  const folder = mkdtempSync(join(tmpdir(), "aether-mutant-"));
  const names = readdirSync(join(root, "packages"));
  for (const name of names) {
    const from = join(root, "packages", name);
    const to = join(folder, "packages", name);
    mkdirSync(to, { recursive: true });
    cpSync(join(from, "src"), join(to, "src"), { recursive: true, filter: (path) => !path.endsWith(".test.ts") });
    cpSync(join(from, "package.json"), join(to, "package.json"));
    linkModules(join(from, "node_modules"), join(to, "node_modules"), names);
  }
  cpSync(join(root, "package.json"), join(folder, "package.json"));
  linkModules(join(root, "node_modules"), join(folder, "node_modules"), names);
  let whole: { readonly path: string; readonly text: string } | null = null;
  return {
    program: join(folder, lives),
    put: (mutant) => {
      const path = join(folder, mutant.file);
      const text = readFileSync(path, "utf8");
      writeFileSync(path, mutate(mutant, text));
      whole = { path, text };
    },
    takeOut: () => {
      if (whole !== null) writeFileSync(whole.path, whole.text);
      whole = null;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function linkModules(from: string, to: string, packages: readonly string[]): void {
  let modules: string[];
  try {
    modules = readdirSync(from);
  } catch {
    // A package without modules of its own.
    return;
  }
  mkdirSync(to);
  for (const name of modules) if (name !== "@aether") symlinkSync(join(from, name), join(to, name));
  if (!modules.includes("@aether")) return;
  mkdirSync(join(to, "@aether"));
  for (const name of packages) symlinkSync(join(to, "../packages", name), join(to, "@aether", name));
}
