/** The command `aether`. */
import { main } from "./main.ts";
import { processShell } from "./shell/shell.ts";

const words = process.argv.slice(2);
process.exit(await main(words, processShell(words.includes("--no-color"))));
