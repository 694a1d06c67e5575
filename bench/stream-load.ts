/**
 * One process of load on an Aether cluster: N settings writes (or linearizable reads) in flight over C connections to
 * `/v1/stream`, for a fixed number of requests after a warm-up. The counterpart of bench/etcd/putbench.go: same options,
 * same one line of JSON. The client finds the leader and talks to it, as putbench --leader does.
 */
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { openStreamClient, type StreamAnswer, type StreamRead } from "@aether/node/client/stream-client";
import { clientTls } from "@aether/node/identity/tls";

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
    size: { type: "string", default: "256" },
    keys: { type: "string", default: "10000" },
    read: { type: "boolean", default: false },
  },
});

const text = (name: "endpoints" | "cluster-id" | "ca" | "cert" | "key"): string => {
  const value = values[name];
  if (value === undefined) throw new Error(`--${name} is needed`);
  return value;
};
const inFlight = Number(values["in-flight"]);
const total = Number(values.total);
const keys = Number(values.keys);
const run = `${process.pid}-${Date.now()}`;
const padding = "x".repeat(Number(values.size));
/** A value of its own for each write: one that is there already would be answered without a commit. */
const valueOf = (tag: string, n: number): string => `${run}-${tag}-${n} ${padding}`.slice(0, padding.length);
const tls = clientTls(
  {
    ca: readFileSync(text("ca"), "utf8"),
    certificate: readFileSync(text("cert"), "utf8"),
    key: readFileSync(text("key"), "utf8"),
  },
  { clusterId: text("cluster-id") },
);
const clients = Array.from({ length: Math.min(Number(values.connections), inFlight) }, () =>
  openStreamClient({ endpoints: text("endpoints").split(","), tls, deadlineMs: 30_000 }),
);

function drive(count: number, tag: string): Promise<{ latencies: Float64Array; elapsedMs: number }> {
  const latencies = new Float64Array(count);
  const started = performance.now();
  let next = 0;
  let finished = 0;
  return new Promise((resolve, reject) => {
    const issue = (client: (typeof clients)[number]): void => {
      const n = next++;
      if (n >= count) return;
      const key = `bench/k${n % keys}`;
      const began = performance.now();
      const done = (answer: StreamAnswer | StreamRead): void => {
        if (!answer.ok) return reject(new Error(`request ${n} was refused: ${JSON.stringify(answer)}`));
        if ("changed" in answer && !answer.changed) return reject(new Error(`request ${n} committed nothing`));
        if ("stored" in answer && answer.stored === null) return reject(new Error(`read ${n} found nothing`));
        latencies[n] = performance.now() - began;
        if (++finished === count) resolve({ latencies, elapsedMs: performance.now() - started });
        else issue(client);
      };
      if (values.read) client.get("setting", key, done);
      else client.submit({ type: "SetSetting", id: key, value: valueOf(tag, n) }, `${run}-${tag}-${n}`, done);
    };
    for (let i = 0; i < inFlight; i++) issue(clients[i % clients.length]!);
  });
}

const warm = Math.floor(total / 10) + 1;
await drive(warm, "warm");
const { latencies, elapsedMs } = await drive(total, "run");
latencies.sort();
const at = (q: number): number => latencies[Math.floor(q * (total - 1))] ?? 0;
console.log(
  JSON.stringify({
    perSecond: (total / elapsedMs) * 1e3,
    p50: at(0.5),
    p99: at(0.99),
    p999: at(0.999),
    count: total + warm,
  }),
);
for (const client of clients) client.close();
