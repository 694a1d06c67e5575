/**
 * One running member of a data folder: log, snapshots, event store, consensus and transport, put together and taken
 * apart in the right order.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Registry } from "@aether/core/kernel/registry";
import { startDriver, type Driver } from "@aether/raft/driver/driver";
import { defaultDriverOptions } from "@aether/raft/driver/default-options";
import { systemClock } from "@aether/raft/driver/system-clock";
import type { LogStorage, NodeId, OpenVerdict, SnapshotStore, Transport } from "@aether/raft/types";
import { openEventStore, StateLost } from "@aether/store/events/open";
import type { EventStore, Submission } from "@aether/store/types";
import type { Rejection } from "@aether/core/kernel/command";

type Boot = Extract<OpenVerdict, { v: "clean" | "tornTail" }>["boot"];

export interface MemberParts<T extends Transport> {
  readonly member: NodeId;
  readonly dataDir: string;
  readonly registry: Registry;
  readonly storage: LogStorage;
  readonly boot: Boot;
  readonly snapshots: SnapshotStore;
  readonly raft: { readonly tickMs: number; readonly electionTicks: number; readonly heartbeatTicks: number };
  /** Entries kept behind the newest snapshot. */
  readonly keepEntries: number;
  /** Made once the store is there to say who is where. */
  readonly makeTransport: (store: EventStore) => T;
  readonly addressOf: (store: EventStore, member: NodeId) => string | undefined;
  /** Asked once the rows are open and before anything is sent: why this disk may not take part, or null. See vouching.ts. */
  readonly vouch: (store: EventStore) => Promise<string | null>;
  /** Ends the process; a failing disk and a broken invariant end here. */
  readonly onFatal: (error: Error) => never;
  readonly onDenied: (s: Submission, r: Rejection) => void;
  /** The state folder was damaged and is rebuilt from snapshot and log. */
  readonly onRecovered: (why: string) => void;
}

export interface RunningMember<T extends Transport = Transport> {
  readonly member: NodeId;
  readonly store: EventStore;
  readonly driver: Driver;
  readonly transport: T;
  readonly storage: LogStorage;
  /** Rows flushed, sockets and files closed. Safe to call twice. */
  stop(): Promise<void>;
}

/** What is on disk contradicts itself or what others know of it: this member id cannot go on. */
export interface StateRefused {
  readonly refused: string;
}

/**
 * A flush only shortens the next start, which reads 16,384 entries in a fraction of a second. The longer it waits, the more often
 * a row changes between two, and the fewer bytes and syncs a commit costs.
 */
const storeLimits = { flushMs: 2_000, flushRows: 10_000, maxInFlight: 16_384 };
/**
 * Log entries between snapshots: often enough that a lagging member needs a short one, rare enough to cost nothing. Who
 * keeps little behind them wants a small log, and gets them sooner: after five times what is kept.
 */
const snapshotEvery = (keepEntries: number): number => Math.min(50_000, Math.max(1_000, 5 * keepEntries));

/**
 * Opens the store and joins in. Resolves refused when the rows reach beyond the log or not far enough back, or when nobody
 * vouches for the disk; the log is then still open and the caller's to close.
 */
export async function startMember<T extends Transport>(p: MemberParts<T>): Promise<RunningMember<T> | StateRefused> {
  const store = await openStore(p);
  if ("refused" in store) return store;
  const { applied } = store.stateMachine;
  const beyond = `its rows are of entry ${applied}, but its log ends at ${p.boot.last.index}`;
  const refused = applied > p.boot.last.index ? beyond : await p.vouch(store);
  if (refused !== null) {
    await store.close();
    return { refused };
  }
  const transport = p.makeTransport(store);
  const driver = startDriver({
    id: p.member,
    boot: { ...p.boot, applied, membership: store.membership },
    log: p.storage,
    snapshots: p.snapshots,
    transport,
    stateMachine: store.stateMachine,
    clock: systemClock,
    rng: Math.random,
    addressOf: (member) => p.addressOf(store, member),
    options: { ...defaultDriverOptions, ...p.raft, onFatal: p.onFatal },
  });
  store.attach(driver);
  const unsubscribe = store.onApplied((changed) => {
    if (changed === null) return driver.refreshPeers();
    for (const thing of changed) if (thing.startsWith("node/")) return driver.refreshPeers();
  });
  let stopped: Promise<void> | null = null;
  const stop = async (): Promise<void> => {
    unsubscribe();
    await driver.stop();
    await transport.close();
    await store.close();
    await p.storage.close();
  };
  return { member: p.member, store, driver, transport, storage: p.storage, stop: () => (stopped ??= stop()) };
}

async function openStore(p: MemberParts<Transport>): Promise<EventStore | StateRefused> {
  const options = {
    ...storeLimits,
    snapshotEveryEntries: snapshotEvery(p.keepEntries),
    dir: join(p.dataDir, "state"),
    now: Date.now,
    drawBits: makeBitSource(),
    keepEntries: p.keepEntries,
    onFatal: p.onFatal,
    onDenied: p.onDenied,
    onRecovered: p.onRecovered,
  };
  try {
    return await openEventStore(options, p.registry, p.storage.view, p.snapshots, p.boot.snap);
  } catch (error) {
    if (error instanceof StateLost) return { refused: error.message };
    throw error;
  }
}

const bitsBytes = 16;
const poolBytes = 512 * bitsBytes;

/** 32 fresh hex digits a call. Drawn from the system many at a time, because a call a command is a cost under load. */
function makeBitSource(): () => string {
  let pool = randomBytes(poolBytes).toString("hex");
  let at = 0;
  return () => {
    if (at === pool.length) {
      pool = randomBytes(poolBytes).toString("hex");
      at = 0;
    }
    at += 2 * bitsBytes;
    return pool.slice(at - 2 * bitsBytes, at);
  };
}
