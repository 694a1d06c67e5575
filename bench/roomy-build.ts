/**
 * A daemon that takes more settings. A cluster holds at most 100,000, which is plenty for settings; but settings are the only rows
 * that a client can make many of so far, and growth is measured up to a million. The copy differs in that number alone.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const folder = join(import.meta.dirname, ".work/roomy");
const settingsMax = 4_000_000;

/** Writes the copy below bench/.work, where it finds the native modules, and gives its path. */
export function roomyBuild(program: string): string {
  mkdirSync(folder, { recursive: true });
  const copy = join(folder, basename(program));
  writeFileSync(copy, withRoom(readFileSync(program, "utf8")));
  return copy;
}

/** Throws when the text does not set the limit exactly once. */
export function withRoom(bundle: string): string {
  const limit = /\bsettingsMax = (1e5|100000|100_000)\b/g;
  const found = bundle.match(limit)?.length ?? 0;
  if (found !== 1) throw new Error(`the limit on settings is set ${found} times in the bundle: has it another name now?`);
  return bundle.replace(limit, `settingsMax = ${settingsMax}`);
}
