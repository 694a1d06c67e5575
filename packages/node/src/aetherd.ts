/** `aetherd`: the daemon of a node. Everything it needs comes in one file or one environment variable. */
import { main } from "./daemon/main.ts";

/** The oldest node that runs this, as in bin/launch.js, which bin/aetherd.js hands over with. */
const oldest = [22, 19] as const;
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
  // Somebody started the bundle itself instead of the command. The process that takes over ends this one.
  await import(new URL("../bin/aetherd.js", import.meta.url).href);
  await new Promise(() => {});
}

await main(process.argv.slice(2), process.env);
