/**
 * One process of load on an Aether cluster: N settings writes (or linearizable reads) in flight over C connections to
 * `/v1/stream`, for a fixed number of requests after a warm-up. The counterpart of bench/etcd/putbench.go: same options,
 * same one line of JSON. The client finds the leader and talks to it, as putbench --leader does. With --probe it writes
 * through each member at a steady pace instead, as putbench --probe does.
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { openStreamClient, type StreamAnswer, type StreamClient, type StreamRead } from "@aether/node/client/stream-client";
import { clientTls } from "@aether/node/identity/tls";
import { openLoneReader } from "./lone-reader.ts";

const { values } = parseArgs({
  options: {
    endpoints: { type: "string" },
    "cluster-id": { type: "string" },
    ca: { type: "string" },
    cert: { type: "string" },
    key: { type: "string" },
    "in-flight": { type: "string", default: "64" },
    connections: { type: "string", default: "4" },
    total: { type: "string", default: "20000" },
    warm: { type: "string", default: "0" },
    size: { type: "string", default: "256" },
    keys: { type: "string", default: "10000" },
    from: { type: "string", default: "0" },
    read: { type: "boolean", default: false },
    "one-per-message": { type: "boolean", default: false },
    probe: { type: "string" },
  },
});

const text = (name: "endpoints" | "cluster-id" | "ca" | "cert" | "key"): string => {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return value;
};
const inFlight = Number(values["in-flight"]);
const total = Number(values.total);
const warm = Number(values.warm);
const keys = Number(values.keys);
const from = Number(values.from);
const run = `${process.pid}-${Date.now()}`;
const padding = "x".repeat(Number(values.size));
/** A value of its own for each write: one that is there already would be answered without a commit. */
const valueOf = (tag: string, n: number): string => `${run}-${tag}-${n} ${padding}`.slice(0, padding.length);
const endpoints = text("endpoints").split(",");
const tls = clientTls(
  {
    ca: readFileSync(text("ca"), "utf8"),
    certificate: readFileSync(text("cert"), "utf8"),
    key: readFileSync(text("key"), "utf8"),
  },
  { clusterId: text("cluster-id") },
);

type Reader = Pick<StreamClient, "get" | "close">;

function drive(issueTo: (n: number, worker: number, done: (answer: StreamAnswer | StreamRead) => void) => void, count: number) {
  const latencies = new Float64Array(count);
  const started = performance.now();
  let next = 0;
  let finished = 0;
  return new Promise<{ latencies: Float64Array; elapsedMs: number }>((resolve, reject) => {
    const issue = (worker: number): void => {
      const n = next++;
      if (n >= count) return;
      const began = performance.now();
      issueTo(n, worker, (answer) => {
        if (!answer.ok) return reject(new Error(`request ${n} was refused: ${JSON.stringify(answer)}`));
        if ("changed" in answer && !answer.changed) return reject(new Error(`request ${n} committed nothing`));
        if ("stored" in answer && answer.stored === null) return reject(new Error(`read ${n} found nothing`));
        latencies[n] = performance.now() - began;
        if (++finished === count) resolve({ latencies, elapsedMs: performance.now() - started });
        else issue(worker);
      });
    };
    for (let worker = 0; worker < inFlight; worker++) issue(worker);
  });
}

const keyOf = (n: number): string => `bench/k${from + (n % keys)}`;
const connections = Math.min(Number(values.connections), inFlight);

async function load(): Promise<void> {
  const lone = values["one-per-message"] && values.read;
  const writers = lone ? [] : Array.from({ length: connections }, () => openStreamClient({ endpoints, tls, deadlineMs: 30_000 }));
  const readers: Reader[] = lone
    ? await Promise.all(Array.from({ length: connections }, () => openLoneReader(endpoints, tls)))
    : writers;
  const through = (tag: string) => (n: number, worker: number, done: (answer: StreamAnswer | StreamRead) => void) => {
    const place = worker % connections;
    if (values.read) readers[place]!.get("setting", keyOf(n), done);
    else writers[place]!.submit({ type: "SetSetting", id: keyOf(n), value: valueOf(tag, n) }, `${run}-${tag}-${n}`, done);
  };
  if (warm > 0) await drive(through("warm"), warm);
  const { latencies, elapsedMs } = await drive(through("run"), total);
  latencies.sort();
  const at = (q: number): number => latencies[Math.floor(q * (total - 1))] ?? 0;
  const rates = { perSecond: (total / elapsedMs) * 1e3, p50: at(0.5), p99: at(0.99), p999: at(0.999), count: total + warm };
  console.log(JSON.stringify(rates));
  for (const client of new Set([...writers, ...readers])) client.close();
}

/** Prints "asked acknowledged place" (Unix milliseconds, and which endpoint) for each write that is acknowledged, until the input ends. */
function probe(everyMs: number): void {
  const clients = endpoints.map((endpoint) =>
    openStreamClient({ endpoints: [endpoint], tls, deadlineMs: 10_000, followLeader: false }),
  );
  let n = 0;
  const timer = setInterval(() => {
    clients.forEach((client, at) => {
      const write = n++;
      const asked = Date.now();
      // No request id: a write whose connection breaks is not asked again.
      client.submit({ type: "SetSetting", id: `probe/${at}-${write % 100}`, value: valueOf("probe", write) }, null, (answer) => {
        if (answer.ok) process.stdout.write(`${asked} ${Date.now()} ${at}\n`);
      });
    });
  }, everyMs);
  process.stdin.resume();
  process.stdin.on("end", () => {
    clearInterval(timer);
    for (const client of clients) client.close();
  });
}

if (values.probe === undefined) await load();
else probe(Number(values.probe));
