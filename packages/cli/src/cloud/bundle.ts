import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { findDaemon } from "../cluster/local-cluster.ts";
import type { Run } from "../shell/command.ts";
import { exit, Failure } from "../shell/failure.ts";
import { printResult } from "../shell/result.ts";
import { bundleFiles } from "./bundle-files.ts";
import { writeTarball } from "./tarball.ts";

/** A good part of what 9 would give, in a third of its time. */
const level = 6;

/** `aether cloud bundle FILE`. */
export const run: Run = async (call, shell) => {
  const file = resolve(call.arg("file"));
  const daemon = findDaemon().entry;
  if (!daemon.endsWith(".js") || !existsSync(daemon)) {
    throw new Failure(exit.failed, "there is no bundle of aetherd beside this command", "npm run build, then run it again");
  }
  const shared = (process.config.variables as { readonly node_shared?: boolean }).node_shared;
  if (process.platform !== "linux" || shared === true) {
    const message = `this node (${process.execPath}) runs on no other machine: ${shared === true ? "it needs its library" : process.platform}`;
    throw new Failure(exit.failed, message, "run this on Linux, with a node from its own site or the one that npm ci brings");
  }
  const parts = { node: process.execPath, daemon, root: rootOf(daemon), platform: process.platform, arch: process.arch };
  const made = await writeTarball(file, bundleFiles(parts), level).catch((error: Error) => {
    throw new Failure(
      exit.failed,
      `${file} was not made: ${error.message}`,
      "look at the folder, and at npm ci for a missing module",
    );
  });
  const url = `https://HOST/${basename(file)}#sha256=${made.sha256}`;
  const platform = `${process.platform}-${process.arch}`;
  const value = { file, bytes: made.bytes, sha256: made.sha256, node: process.versions.node, platform, bundle_url: url };
  const size = (made.bytes / 1024 / 1024).toFixed(1);
  const words = [
    `${file}: ${size} MiB, node ${process.versions.node} for ${platform}`,
    "put it where new machines can fetch it, and into [cloud] of cluster.toml, with that place for HOST:",
    `bundle_url = "${url}"`,
  ];
  printResult(call, shell, value, words.join("\n"));
  return exit.done;
};

/** From packages/node/dist/aetherd.js to the checkout. */
const rootOf = (daemon: string): string => join(dirname(daemon), "../../..");
