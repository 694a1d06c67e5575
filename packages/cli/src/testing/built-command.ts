import { join } from "node:path";

/** The command as it is shipped, for process tests; it starts the daemon that is shipped. Built before them. */
export const builtCommand = join(import.meta.dirname, "../../dist/aether.js");

/** Compiled code, kept between runs: a command starts sooner. */
export const compileCache = join(import.meta.dirname, "../../../../node_modules/.cache/aether");
