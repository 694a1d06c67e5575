/** `npm test`: install, check types, lint, format, and run every test, for which vitest builds first. Arguments go to vitest. */
import { install, run } from "./install.js";

const bin = (name, file) => `node_modules/${name}/${file}`;
const rest = process.argv.slice(2);

install();
if (rest.length === 0) {
  run("the type check", [bin("typescript", "bin/tsc"), "-p", "."]);
  run("the linter", [bin("oxlint", "bin/oxlint"), "-c", ".ci/oxlintrc.json", "--type-aware", "packages", "bench", ".ci"]);
  run("the format check", [
    bin("oxfmt", "bin/oxfmt"),
    "-c",
    ".ci/oxfmtrc.json",
    "--check",
    "packages",
    "bench",
    ".ci",
    "!**/*.md",
    // What benches and soaks record is data.
    "!**/results/**",
  ]);
}
run("the tests", [bin("vitest", "vitest.mjs"), "run", "--config", ".ci/vitest.config.ts", "--root", ".", ...rest]);
