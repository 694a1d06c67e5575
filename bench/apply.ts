/**
 * How fast one member applies committed entries, and how fast a leader decides and answers commands, with consensus taken out:
 * settings writes of 256-byte values with request ids. Rates are medians of rounds, per second of the main thread's CPU time, so
 * that what else the machine does matters little.
 *
 * - replay: what a restart does with the log. Entries as bytes are decoded and chained, and make rows, remembered answers and
 *   history in memory; nothing is written. 1,000,000 events over 100,000 rows.
 * - apply: the same through the event store, with its flush behind it; over 10,000 rows.
 * - submit to answer: through submit, decide, propose, apply and answer, 256 in flight, with the flush.
 * - after 1,000,000 events over 100,000 rows: resident memory of a process that holds nothing but a store, the CPU time of its
 *   longest turn of the event loop (256 entries applied and a step of the flush), and what opening the store again takes.
 *
 *   node bench/apply.ts [--events 1000000] [--rounds 5]
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import type { Command } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import type { Entry, Outcome } from "@aether/raft/types";
import { Kind } from "@aether/raft/types";
import { emptyState } from "@aether/store/events/applied-state";
import type { ConsensusPort, EventStore } from "@aether/store/types";
import { actor, alone, entriesAfter, openLoneStore, valueOf } from "./lone-store.ts";

const { values } = parseArgs({
  options: { events: { type: "string", default: "1000000" }, rounds: { type: "string", default: "5" } },
});
const events = Number(values.events);
const rounds = Number(values.rounds);
const rows = Math.ceil(events / 10);
/** Of the rates with a flush. */
const count = Math.min(events, 100_000);
const keys = Math.ceil(count / 10);
const batch = 256;
/** Entries made at a time: a restart decodes them block by block just before, too. With 20,000 their making costs collections later. */
const made = 2_048;

/** CPU time of this thread, in seconds. */
function cpuSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

async function withFolder<T>(f: (dir: string) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "aether-bench-"));
  try {
    return await f(dir);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const withStore = <T>(f: (store: EventStore) => Promise<T>): Promise<T> =>
  withFolder(async (dir) => {
    const store = await openLoneStore(dir);
    try {
      return await f(store);
    } finally {
      await store.close();
    }
  });

/** Events a second, from bytes to a state in memory. What waits for a flush is dropped now and then, as a flush would. */
function replayRate(): Promise<number> {
  const state = emptyState(registry, () => false);
  let seconds = 0;
  for (let behind = 0; behind < events; behind += made) {
    const entries = entriesAfter(behind, Math.min(made, events - behind), rows);
    const began = cpuSeconds();
    for (let at = 0; at < entries.length; at += batch) {
      const changed = new Set<string>();
      for (const entry of entries.slice(at, at + batch)) state.apply(entry, changed);
    }
    state.history.take();
    state.history.flushed();
    state.trail.flushed(state.applied.index);
    seconds += cpuSeconds() - began;
  }
  return Promise.resolve(events / seconds);
}

/** Entries a second through the store, with the flush. */
function applyRate(): Promise<number> {
  return withStore(async (store) => {
    let seconds = 0;
    for (let behind = 0; behind < count; behind += batch) {
      const entries = entriesAfter(behind, Math.min(batch, count - behind), keys);
      const began = cpuSeconds();
      store.stateMachine.apply(entries, alone);
      await new Promise(setImmediate);
      seconds += cpuSeconds() - began;
    }
    const began = cpuSeconds();
    await store.flush();
    return count / (seconds + cpuSeconds() - began);
  });
}

/** Commands a second. */
function submitRate(): Promise<number> {
  return withStore(async (store) => {
    let pending: Entry[] = [{ index: 1, term: 1, kind: Kind.noop, data: new Uint8Array() }];
    let last = 1;
    const port: ConsensusPort = {
      propose: (data): Outcome => {
        for (const bytes of data) pending.push({ index: ++last, term: 1, kind: Kind.normal, data: bytes });
        return { ok: true, first: last, last, term: 1 };
      },
      readBarrier: () => Promise.resolve(last),
      snapshot: () => Promise.reject(new Error("the bench makes no snapshots")),
      compact: () => Promise.resolve(),
    };
    store.attach(port);
    store.stateMachine.onRole({ state: "leader", term: 1, leader: 1 });
    const answered: number[] = [];
    const began = cpuSeconds();
    for (let i = 0; answered.length < count;) {
      const committed = pending;
      pending = [];
      store.stateMachine.apply(committed, alone);
      for (let n = 0; n < batch && i < count; n++, i++) {
        const command: Command = { type: "SetSetting", id: `bench/k${i % keys}`, value: valueOf(i) };
        store.submit({ command, actor, request: { client: `c${i % 64}`, id: `${i}` } }, (answer) => {
          if (answer.ok) answered.push(answer.index);
          else throw new Error(answer.rejection.message);
        });
      }
      await new Promise(setImmediate);
    }
    return count / (cpuSeconds() - began);
  });
}

async function report(name: string, run: () => Promise<number>): Promise<void> {
  await run();
  const rates: number[] = [];
  for (let i = 0; i < rounds; i++) rates.push(await run());
  rates.sort((a, b) => a - b);
  const [low, median, high] = [rates[0], rates[rounds >> 1], rates.at(-1)].map((rate) =>
    Math.round(rate ?? 0).toLocaleString("en"),
  );
  console.log(`${name.padEnd(44)} ${median}/s (${low} to ${high})`);
}

interface Life {
  readonly openMs: number;
  readonly openCpuMs: number;
  readonly applied: number;
  readonly residentMiB: number;
  readonly settledMiB: number;
  readonly turnMsMax: number;
  readonly heap: readonly number[];
}

async function life(dir: string, ...more: string[]): Promise<Life> {
  const script = join(import.meta.dirname, "lone-life.ts");
  const args = [...process.execArgv, script, "--dir", dir, "--events", String(events), "--rows", String(rows), ...more];
  return JSON.parse((await promisify(execFile)(process.execPath, args)).stdout) as Life;
}

await report(`replay of ${events.toLocaleString("en")} events`, replayRate);
await report("apply with the flush", applyRate);
await report("submit to answer, with the flush", submitRate);
await withFolder(async (dir) => {
  const first = await life(dir);
  const again = await life(dir, "--again");
  if (again.applied !== events) throw new Error(`the store was opened at ${again.applied}, not at ${events}`);
  const [used, total, external] = first.heap;
  console.log(`after ${events.toLocaleString("en")} events over ${rows.toLocaleString("en")} rows:`);
  console.log(
    `  resident: ${first.residentMiB} MiB, 5 s later ${first.settledMiB} (heap ${used} of ${total}, external ${external})`,
  );
  console.log(`  longest turn of the event loop: ${first.turnMsMax} ms CPU`);
  console.log(`  opened again in ${again.openMs} ms (${again.openCpuMs} ms CPU), then resident: ${again.residentMiB} MiB`);
});
