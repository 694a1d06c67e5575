/**
 * Ensures one local instance and dies by SIGKILL right before or right after the spawn of its daemon.
 * Arguments: "before" | "after", the provider's options and the spec (userData in clear), both JSON.
 */
import childProcess from "node:child_process";
import { syncBuiltinESMExports } from "node:module";
import { runPromise } from "effect/Effect";
import { make as redact } from "effect/Redacted";
import type { LocalOptions } from "../local.ts";
import type { InstanceSpec } from "../provider.ts";

const [when, options, spec] = process.argv.slice(2);
const realSpawn = childProcess.spawn;
const die = (): never => {
  process.kill(process.pid, "SIGKILL");
  // The signal is delivered before this loop is left.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
};
const crashingSpawn = (...args: Parameters<typeof realSpawn>) => {
  if (when === "before") die();
  const child = realSpawn(...args);
  child.once("spawn", die);
  return child;
};
Object.assign(childProcess, { spawn: crashingSpawn });
syncBuiltinESMExports();

const { makeLocalProvider } = await import("../local.ts");
const wanted = JSON.parse(spec ?? "") as Omit<InstanceSpec, "userData"> & { userData: string };
const provider = makeLocalProvider(JSON.parse(options ?? "") as LocalOptions);
await runPromise(provider.compute.ensure({ ...wanted, userData: redact(wanted.userData) }));
