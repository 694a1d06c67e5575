/**
 * A process that is nothing but a store with rows of about 600 bytes, and its backups: a first one of all, then of 100 changes each. It says
 * in one line of JSON what they cost. bench/backup.ts starts it.
 *
 *   node bench/lone-backup.ts --dir FOLDER --rows 100000 --incrementals 100 [--paced] [--stream FILE]
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { filesOf } from "@aether/core/backup/thing-files";
import { registry } from "@aether/core/registry";
import type { Entry } from "@aether/raft/types";
import { Kind } from "@aether/raft/types";
import { BackupWriter } from "@aether/store/backup/backup-writer";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { consolidate } from "@aether/store/git/consolidate";
import { noPace } from "@aether/store/pace";
import { actor, alone, openLoneStore } from "./lone-store.ts";

const { values } = parseArgs({
  options: {
    dir: { type: "string" },
    rows: { type: "string", default: "100000" },
    incrementals: { type: "string", default: "100" },
    changes: { type: "string", default: "100" },
    paced: { type: "boolean", default: false },
    stream: { type: "string" },
  },
});
if (values.dir === undefined) throw new Error("--dir is needed");
const [rows, incrementals, changes] = [Number(values.rows), Number(values.incrementals), Number(values.changes)];
const batch = 256;

/** About 600 bytes as JSON: some words that all have, and half of it its own. */
const valueOf = (key: number, n: number): unknown => ({
  host: `h${key}.example.org`,
  port: 8_000 + (key % 1_000),
  limits: { cpu: 0.5 + (key % 7) / 10, memory: key * 1_024, tags: ["a", "b", `c${n}`] },
  note: createHash("sha512").update(`${key}`).digest("hex") + createHash("sha512").update(`${key}/${n}`).digest("hex"),
  text: `the quick brown fox ${key} ${"jumps over the lazy dog; ".repeat(5)}`,
});

let applied = 0;
const entryOf = (key: number): Entry => {
  const n = applied++;
  const event = {
    type: "SettingChanged",
    v: 1,
    id: `app/service-${key}/config`,
    value: valueOf(key, n),
    description: `of ${key}`,
  };
  const payload = { at: 1_763_000_000_000 + n, actor, cause: "SetSetting", request: null, events: [event] };
  return { index: n + 1, term: 1, kind: Kind.normal, data: encodeEntry(payload) };
};

const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
};
const rounded = (ms: number): number => Math.round(ms * 10) / 10;

const store = await openLoneStore(values.dir);
for (let key = 0; key < rows; key += batch) {
  const entries = Array.from({ length: Math.min(batch, rows - key) }, (_, i) => entryOf(key + i));
  store.stateMachine.apply(entries, alone);
  await new Promise((resolve) => setImmediate(resolve));
}
await store.flush();

const writer = await BackupWriter.open({
  dir: join(values.dir, "backup.git"),
  store,
  registry,
  cluster: { id: "0".repeat(32), name: "bench" },
  ...(values.paced ? {} : { pace: noPace }),
});
const heldBefore = process.memoryUsage.rss();
const delays = monitorEventLoopDelay({ resolution: 1 });
delays.enable();
const [began, cpuBefore] = [performance.now(), cpuMs()];
const made = await writer.backup("bench");
const first = {
  ms: Math.round(performance.now() - began),
  cpuMs: Math.round(cpuMs() - cpuBefore),
  bytes: made?.bytes,
  things: made?.things,
  turnMsMax: rounded(delays.max / 1e6),
  turnMsP99: rounded(delays.percentile(99) / 1e6),
  grewMiB: Math.round((process.memoryUsage.rss() - heldBefore) / 2 ** 20),
};
delays.disable();

if (values.stream !== undefined) {
  const fd = openSync(values.stream, "w");
  writeSync(fd, "commit refs/heads/main\ncommitter a <a@b> 1700000000 +0000\ndata 1\nx\n");
  for (const noun of registry.nouns)
    for (const stored of store.world.all(noun.name))
      for (const { path, text } of filesOf(noun, stored))
        writeSync(fd, `M 100644 inline ${path}\ndata ${Buffer.byteLength(text)}\n${text}\n`);
  writeSync(fd, "\n");
  closeSync(fd);
}

const took: number[] = [];
const cpu: number[] = [];
const packing = { count: 0, ms: 0, cpuMs: 0 };
for (let round = 0; round < incrementals; round++) {
  store.stateMachine.apply(
    Array.from({ length: changes }, (_, i) => entryOf((round * 7_919 + i * 104_729) % rows)),
    alone,
  );
  await new Promise((resolve) => setImmediate(resolve));
  const [from, cpuFrom] = [performance.now(), cpuMs()];
  await writer.backup("bench");
  took.push(rounded(performance.now() - from));
  cpu.push(rounded(cpuMs() - cpuFrom));
  const [packFrom, packCpu] = [performance.now(), cpuMs()];
  if ((await consolidate(writer.repository, { pace: noPace })) !== null) packing.count++;
  packing.ms += Math.round(performance.now() - packFrom);
  packing.cpuMs += Math.round(cpuMs() - packCpu);
}
console.log(JSON.stringify({ rows, first, took, cpu, packing }));
writer.close();
await store.close();
