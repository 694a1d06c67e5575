/** `npm run bench [-- NAME OPTIONS]`. Each bench prints what it saw; nothing here is run by the tests. */
import { benchCommits } from "./commits.ts";

const [name = "commits", ...rest] = process.argv.slice(2);
const separate: Readonly<Record<string, string>> = { log: "./log-storage.ts", apply: "./apply.ts" };
const module = separate[name];

if (name === "commits") await benchCommits(rest);
else if (module !== undefined) await import(module);
else {
  console.error(`error: there is no bench called ${name}\nhint: commits (default), ${Object.keys(separate).join(", ")}`);
  process.exitCode = 2;
}
