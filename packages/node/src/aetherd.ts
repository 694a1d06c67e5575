/** `aetherd`: the daemon of a node. Everything it needs comes in one file or one environment variable. */
import { main } from "./daemon/main.ts";

await main(process.argv.slice(2), process.env);
