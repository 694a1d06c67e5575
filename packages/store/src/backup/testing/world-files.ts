/** What a backup's tree should hold, and what git says that it holds. */
import { execFileSync } from "node:child_process";
import { filesOf } from "@aether/core/backup/thing-files";
import type { World } from "@aether/core/kernel/world";
import { registry } from "@aether/core/registry";
import { git } from "./backed-up.ts";

/** Path and text of everything in the world. */
export const filesOfWorld = (world: World): Map<string, string> => {
  const files = registry.nouns.flatMap((noun) => [...world.all(noun.name)].flatMap((row) => filesOf(noun, row)));
  return new Map(files.map(({ path, text }) => [path, text]));
};

/** The same of a commit, without its manifest. */
export function filesOfCommit(dir: string, commit = "HEAD"): Map<string, string> {
  const paths = git(dir, "ls-tree", "-r", "--name-only", "-z", commit).split("\0");
  const named = paths.filter((path) => path !== "" && path !== "manifest.json");
  const input = named.map((path) => `${commit}:${path}\n`).join("");
  const out = execFileSync("git", ["-C", dir, "cat-file", "--batch"], { input, maxBuffer: 2 ** 28 });
  const found = new Map<string, string>();
  let at = 0;
  for (const path of named) {
    const end = out.indexOf("\n", at);
    const size = Number(out.toString("latin1", at, end).split(" ")[2]);
    found.set(path, out.toString("utf8", end + 1, end + 1 + size));
    at = end + 1 + size + 1;
  }
  return found;
}
