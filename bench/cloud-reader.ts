/**
 * `node bench/cloud-reader.ts VENDOR URL ROUNDS`: lists all machines so often, in a process of its own, and prints as JSON how long a list took and
 * what was resident in memory before the first and at the highest.
 */
import { runPromise } from "effect/Effect";
import { clusterLabels } from "@aether/cloud/labels";
import { openProvider, vendorNames } from "./cloud-vendors.ts";

const [, , name = "", url = "", rounds = ""] = process.argv;
const vendor = vendorNames.find((one) => one === name);
if (vendor === undefined) throw new Error(`no vendor ${name}`);
const { provider, close } = openProvider(vendor, url);
const resident = (): number => process.memoryUsage.rss() / 2 ** 20;
// What the first call brings along, a token and the HTTP client, is not what a list costs.
await runPromise(provider.compute.list(clusterLabels("nobody")));
const before = resident();
let highest = before;
const ms: number[] = [];
let found = 0;
for (let round = 0; round < Number(rounds); round++) {
  const began = performance.now();
  found = (await runPromise(provider.compute.list(clusterLabels("conform")))).length;
  ms.push(performance.now() - began);
  highest = Math.max(highest, resident());
}
await close();
process.stdout.write(`${JSON.stringify({ found, ms, beforeMiB: before, highestMiB: highest })}\n`);
