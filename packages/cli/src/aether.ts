/** The command `aether`. */
import { main } from "./main.ts";
import { processShell } from "./shell/shell.ts";

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
