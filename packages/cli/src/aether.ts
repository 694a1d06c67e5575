/** The command `aether`. */
import { main } from "./main.ts";
import { processShell } from "./shell/shell.ts";

/** The oldest node that runs this, as in packages/node/bin/launch.js, which bin/aether.js hands over with. */
const oldest = [22, 19] as const;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  // Somebody started the bundle itself instead of the command. The process that takes over ends this one.
  await import(new URL("../bin/aether.js", import.meta.url).href);
  await new Promise(() => {});
}

const words = process.argv.slice(2);

try {
  const shell = processShell(words.includes("--no-color"));
  const code = await main(words, shell);
  await shell.drained();
  process.exit(code);
} catch (error) {
  const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(`\nerror: this must not happen: ${what}\nhint: please report it with the command that you ran\n`);
  process.exit(1);
}
