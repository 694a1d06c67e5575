/**
 * A process that is nothing but a store: applies so many entries over so many rows, then says in one line of JSON what became of it.
 * bench/apply.ts starts it; a second one with --again opens what the first left.
 *
 *   node bench/lone-life.ts --dir FOLDER --events 1000000 --rows 100000 [--again]
 */
import { parseArgs } from "node:util";
import { alone, entriesAfter, openLoneStore } from "./lone-store.ts";

const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    events: { type: "string", default: "1000000" },
    rows: { type: "string", default: "100000" },
    again: { type: "boolean", default: false },
  },
});
if (values.dir === undefined) throw new Error("--dir is needed");
const events = Number(values.events);
const batch = 256;

const cpuMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
};
const residentMiB = (): number => Math.round(process.memoryUsage.rss() / 2 ** 20);

const began = performance.now();
const cpuBefore = cpuMs();
const store = await openLoneStore(values.dir);
const opened = {
  openMs: Math.round(performance.now() - began),
  openCpuMs: Math.round(cpuMs() - cpuBefore),
  applied: store.applied,
};
let turnMsMax = 0;
if (!values.again) {
  for (let behind = 0; behind < events; behind += batch) {
    const entries = entriesAfter(behind, Math.min(batch, events - behind), Number(values.rows));
    const turn = cpuMs();
    store.stateMachine.apply(entries, alone);
    await new Promise((resolve) => setImmediate(resolve));
    turnMsMax = Math.max(turnMsMax, cpuMs() - turn);
  }
}
const afterLoad = residentMiB();
await new Promise((resolve) => setTimeout(resolve, 5_000));
const { heapUsed, heapTotal, external, arrayBuffers } = process.memoryUsage();
const heap = [heapUsed, heapTotal, external, arrayBuffers].map((bytes) => Math.round(bytes / 2 ** 20));
console.log(
  JSON.stringify({
    ...opened,
    residentMiB: afterLoad,
    settledMiB: residentMiB(),
    heap,
    turnMsMax: Math.round(10 * turnMsMax) / 10,
  }),
);
await store.close();
