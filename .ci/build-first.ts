/** Before the tests that start real processes: the bundles are of these very sources. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";

export const setup = (): void => {
  execFileSync(process.execPath, [join(import.meta.dirname, "build.ts")], { stdio: ["ignore", "ignore", "inherit"] });
};
