/**
 * A process that applies an endless, fixed life to a state folder and says what it flushed, until it is killed:
 *   node endless-life.ts DIR
 */
import { join } from "node:path";
import { Kind } from "@aether/raft/types";
import type { Entry, Index, LogView } from "@aether/raft/types";
import { openSnapshots } from "../../snapshots.ts";
import type { EventStore } from "../../types.ts";
import { encodeEntry } from "../entry-codec.ts";
import { openEventStore } from "../open.ts";
import { boxRegistry, filled } from "./box-noun.ts";
import { alone } from "./one-member.ts";

/** Entry `index` of the life: rows that come, change and go, and requests that are remembered. */
export function lifeEntry(index: Index): Entry {
  if (index % 97 === 1) return { index, term: 1, kind: Kind.noop, data: new Uint8Array() };
  const box = `b${(index * 7919) % 500}`;
  const event = index % 5 === 0 ? { type: "BoxRemoved", v: 1, id: box } : filled(box, index, "x".repeat(index % 50));
  const request = { client: `c${index % 13}`, id: `r${index}`, fingerprint: "f", version: 1 };
  const data = encodeEntry({ at: index, actor: { name: "olga", role: "operator" }, cause: "Life", request, events: [event] });
  return { index, term: 1, kind: Kind.normal, data };
}

/** The whole life as a log, which is made as it is read. */
export const lifeLog: LogView = {
  first: () => 1,
  last: () => ({ index: Number.MAX_SAFE_INTEGER, term: 1 }),
  term: () => 1,
  read: (lo, hi) => Array.from({ length: Math.min(hi - lo, 1_000) }, (_, i) => lifeEntry(lo + i)),
};

export async function openLife(dir: string, flushMs: number): Promise<EventStore> {
  const limits = { flushMs, flushRows: 200, keepEntries: 10, snapshotEveryEntries: 1e9, maxInFlight: 1 };
  const options = { dir: join(dir, "state"), now: Date.now, drawBits: () => "", onFatal: fail, ...limits };
  return openEventStore(options, boxRegistry, lifeLog, await openSnapshots(join(dir, "snap")));
}

function fail(e: Error): never {
  throw e;
}

/** Applies the life up to and including `index`. */
export function liveUpTo(store: EventStore, index: Index): void {
  while (store.applied < index) {
    const run = Math.min(50, index - store.applied);
    const from = store.applied + 1;
    store.stateMachine.apply(
      Array.from({ length: run }, (_, i) => lifeEntry(from + i)),
      alone,
    );
  }
}

const [, script, dir] = process.argv;
if (script === import.meta.filename && dir !== undefined) {
  const store = await openLife(dir, 1);
  process.stdout.write(`opened ${store.applied}\n`);
  for (;;) {
    liveUpTo(store, store.applied + 50);
    process.stdout.write(`flushed ${store.stats().flushed}\n`);
    await new Promise(setImmediate);
  }
}
