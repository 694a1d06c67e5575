/**
 * How fast the durable log takes groups of entries, on this disk: `node bench/log-storage.ts [seconds per row]`.
 * One group in flight at a time, as the raft driver does it; entries of 300 bytes.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AppendBatch, Entry, LogStorage } from "../packages/raft/src/types.ts";
import { formatLog, openLog } from "../packages/store/src/log/open.ts";

const identity = { clusterId: "00112233445566778899aabbccddeeff", nodeId: 1 };
const seconds = Number(process.argv[2] ?? 3);
const entryBytes = 300;
const keepEntries = 20_000;
const data = Buffer.alloc(entryBytes, "some settings and what became of them; ");

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;

const ms = (value: number): string => value.toFixed(3);

function nextBatch(log: LogStorage, size: number, token: number): AppendBatch {
  const prev = log.view.last();
  const entries: Entry[] = Array.from({ length: size }, (_, at) => ({
    term: 1,
    index: prev.index + 1 + at,
    kind: 0,
    data,
  }));
  const last = { term: 1, index: prev.index + size };
  const slice = { leaderTerm: 1, prev, entries };
  return {
    token,
    term: 1,
    hard: { term: 1, vote: 1, commit: prev.index },
    slice,
    snap: null,
    last,
    sync: true,
    thenSend: [],
  };
}

async function row(log: LogStorage, size: number): Promise<void> {
  const took: number[] = [];
  const before = log.stats();
  const cpu = process.cpuUsage();
  const start = performance.now();
  for (let now = start; now - start < seconds * 1000;) {
    await log.append([nextBatch(log, size, took.length)]);
    const { index } = log.view.last();
    if (index - log.view.first() > 2 * keepEntries) await log.compact(index - keepEntries);
    took.push(performance.now() - now);
    now = performance.now();
  }
  const elapsed = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const after = log.stats();
  const sorted = took.toSorted((a, b) => a - b);
  const cpuMs = (user + system) / 1000 / took.length;
  const rate = (value: number): string => Math.round(value / elapsed).toLocaleString("en");
  console.log(
    `group ${String(size).padStart(4)}: ${rate(took.length * size).padStart(8)} entries/s, ${rate(after.syncs - before.syncs)} syncs/s, ` +
      `group p50 ${ms(quantile(sorted, 0.5))} ms, p99 ${ms(quantile(sorted, 0.99))} ms, CPU ${ms(cpuMs)} ms a group`,
  );
}

const dir = await mkdtemp(join(tmpdir(), "aether-bench-log-"));
try {
  await formatLog(dir, identity, [1]);
  const { storage } = await openLog(dir, identity);
  if (storage === undefined) throw new Error("a log just formatted does not open");
  for (const size of [1, 8, 64, 256]) await row(storage, size);
  await storage.close();
  const start = performance.now();
  const again = await openLog(dir, identity);
  console.log(
    `reopened in ${Math.round(performance.now() - start)} ms: ${again.verdict.v}, ${again.storage?.stats().bytes} bytes of blocks`,
  );
  await again.storage?.close();
} finally {
  await rm(dir, { recursive: true });
}
