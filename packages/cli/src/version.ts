import manifest from "../package.json" with { type: "json" };
import type { Run } from "./shell/command.ts";

export const version: string = manifest.version;

/** `aether version`: of the command itself, and of the node that runs it. */
export const run: Run = (call, shell) => {
  const facts = { aether: version, node: process.version, platform: `${process.platform}-${process.arch}` };
  shell.out(
    call.output === "json" ? `${JSON.stringify(facts)}\n` : `aether ${facts.aether} (node ${facts.node}, ${facts.platform})\n`,
  );
  return Promise.resolve(0);
};
