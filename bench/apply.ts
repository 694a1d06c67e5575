/**
 * How fast one member applies committed entries, and how fast a leader decides and answers commands, with consensus taken
 * out: settings writes of 256-byte values over 10,000 keys. Medians of five rounds, per second of the main thread's CPU
 * time, so that what else the machine does matters little. The flush every 100 ms (here of about every row) is part of it,
 * except where the line says otherwise.
 *
 *   node bench/apply.ts
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { registry } from "@aether/core/registry";
import type { Entry, LogView, Membership, Outcome } from "@aether/raft/types";
import { Kind } from "@aether/raft/types";
import { encodeEntry } from "@aether/store/events/entry-codec";
import { openEventStore } from "@aether/store/events/open";
import { openSnapshots } from "@aether/store/snapshots";
import type { ConsensusPort, EventStore } from "@aether/store/types";

const rounds = 5;
const count = 100_000;
const batch = 256;
const keys = 10_000;
const actor: Identity = { name: "bench", role: "operator" };
const alone: Membership = {
  voters: [1],
  outgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};
const value = "x".repeat(256);

const noLog: LogView = {
  first: () => 1,
  last: () => ({ index: 0, term: 0 }),
  term: () => "beyond",
  read: () => [],
};

/** CPU time of this thread, in seconds. */
function cpuSeconds(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e6;
}

function onFatal(e: Error): never {
  throw e;
}

async function withStore<T>(flushMs: number, f: (store: EventStore) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "aether-bench-"));
  const snapshots = await openSnapshots(join(dir, "snap"));
  const limits = {
    flushMs,
    flushRows: 10 * keys,
    keepEntries: 10_000,
    snapshotEveryEntries: 1e9,
    maxInFlight: 4_096,
  };
  const options = {
    dir: join(dir, "state"),
    now: Date.now,
    drawBits: () => "0".repeat(32),
    onFatal,
    ...limits,
  };
  const store = await openEventStore(options, registry, noLog, snapshots);
  try {
    return await f(store);
  } finally {
    await store.close();
    await rm(dir, { recursive: true });
  }
}

function entries(requests: boolean): Entry[] {
  return Array.from({ length: count }, (_, i) => {
    const request = requests ? { client: `c${i % 64}`, id: `${i}`, fingerprint: "0123456789abcdef", version: 1 } : null;
    const event = {
      type: "SettingChanged",
      v: 1,
      id: `bench/key-${i % keys}`,
      value,
      description: "",
    };
    const data = encodeEntry({
      at: 1_700_000_000_000 + i,
      actor,
      cause: "SetSetting",
      request,
      events: [event],
    });
    return { index: i + 1, term: 1, kind: Kind.normal, data };
  });
}

/** Entries a second. */
async function applyRate(all: readonly Entry[], flushMs: number): Promise<number> {
  return withStore(flushMs, async (store) => {
    const began = cpuSeconds();
    for (let at = 0; at < all.length; at += batch) {
      store.stateMachine.apply(all.slice(at, at + batch), alone);
      await new Promise(setImmediate);
    }
    return all.length / (cpuSeconds() - began);
  });
}

/** Commands a second through submit, decide, propose, apply and answer, 256 in flight. */
async function submitRate(): Promise<number> {
  return withStore(100, async (store) => {
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
        const command: Command = {
          type: "SetSetting",
          id: `bench/key-${i % keys}`,
          value: `${value}${i}`,
        };
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

const plain = entries(false);
const remembered = entries(true);
await report("apply, no flush", () => applyRate(plain, 60_000));
await report("apply with request ids, no flush", () => applyRate(remembered, 60_000));
await report("apply with request ids", () => applyRate(remembered, 100));
await report("submit to answer, with request ids", submitRate);
