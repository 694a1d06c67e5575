/**
 * The backups of one member, put together: its repository, the keeper that writes or mirrors it, the push, and the packing that keeps it
 * small. Nothing here may end the member: what a disk or another member does wrong is recorded or logged, and tried again.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { NodeFile } from "@aether/core/config/node-file";
import type { Command } from "@aether/core/kernel/command";
import { registry } from "@aether/core/registry";
import type { NodeRow } from "@aether/core/node/state";
import { BackupReader } from "@aether/store/backup/backup-reader";
import { BackupWriter } from "@aether/store/backup/backup-writer";
import { consolidate } from "@aether/store/git/consolidate";
import { push, type Pushed } from "@aether/store/git/remote";
import type { Repository } from "@aether/store/git/repository";
import { cutHistory } from "@aether/store/git/shallow";
import { ownPace } from "@aether/store/pace";
import type { Answer, EventStore } from "@aether/store/types";
import type { Redacted } from "effect/Redacted";
import type { Log } from "../daemon/log.ts";
import type { Gateway } from "../server/gateway.ts";
import { CatchUp, type Behind } from "./catch-up.ts";
import type { PeerCopy } from "./copies.ts";
import { backupFault } from "./fault.ts";
import { BackupKeeper } from "./keeper.ts";
import type { PeerRepositories } from "./peer-repository.ts";
import { LastMoment } from "./last-moment.ts";
import { Pusher } from "./pusher.ts";
import { RepositoryHome } from "./repository-home.ts";

export interface BackupServiceParts {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly node: string;
  readonly dataDir: string;
  readonly settings: NodeFile["backup"];
  /** Of the remote. */
  readonly token: Redacted | null;
  readonly store: EventStore;
  readonly gateway: Gateway;
  readonly peers: PeerRepositories;
  readonly log: Log;
}

export interface BackupService {
  readonly settings: NodeFile["backup"];
  readonly home: RepositoryHome;
  /** Whether this member's repository is the one that the others mirror. */
  readonly writes: boolean;
  /** Over the repository as it is now; rejects where it cannot be read. */
  reader(): Promise<BackupReader>;
  /** Null when this member's repository holds what was recorded last; else what it lacks, after at most `withinMs` of fetching it. */
  newest(withinMs: number): Promise<Behind | null>;
  /** What was planned last. */
  readonly moments: LastMoment;
  /** Requests that read the repository at the moment. */
  readonly readings: Set<symbol>;
  /** From this member, whoever leads. Call only with a remote. */
  pushNow(force: boolean): Promise<Pushed>;
  /** Resolves when nothing of it touches the store any more. */
  stop(): Promise<void>;
}

const lookMs = 200;
/** While a backup is asked for. */
const busyLookMs = 20;
const submitMs = 10_000;
const caughtUpMs = 2_000;
/** For all of a push: a first one may be large. */
const pushMs = 600_000;

export function startBackups(p: BackupServiceParts): BackupService {
  const { cluster, settings, store, log } = p;
  const home = homeOf(p);
  const { onLeader, anywhere } = submittersOf(p);
  const tidier = new Tidier(home, settings.keep, log);
  const ending = new AbortController();
  const moments = new LastMoment();
  const pusher = new Pusher({
    cluster,
    remote: settings.remote,
    store,
    push: async ({ force }) => pushTo(await home.repository(), p, force, ending.signal),
    submit: anywhere,
    log,
    now: () => performance.now(),
  });
  const reader = async (): Promise<BackupReader> => {
    await home.repository();
    return BackupReader.open(home.dir, registry, ownPace());
  };
  const keeper = new BackupKeeper({
    cluster,
    settings,
    store,
    home,
    openWriter: async () => {
      // one hand makes the repository
      await home.repository();
      return BackupWriter.open({ dir: home.dir, store, registry, cluster });
    },
    caughtUp: async () => typeof (await p.gateway.barrier(caughtUpMs)) === "number",
    thingsIn: async (commit) => countOf((await (await reader()).manifest(commit)).counts),
    peers: () => copiesOf(p),
    submit: onLeader,
    onRecorded: () => tidier.begin(),
    stopTidying: () => tidier.stop(),
    log,
    now: () => performance.now(),
    wallClock: Date.now,
    pause: (ms) => sleep(ms),
  });
  const catchUp = catchUpOf(p, home, tidier, () => keeper.writes);
  const loops = startLoops(p, home, keeper, pusher);
  return {
    settings,
    home,
    get writes() {
      return keeper.writes;
    },
    reader,
    newest: (withinMs) => catchUp.newest(withinMs),
    moments,
    readings: new Set(),
    pushNow: (force) => pusher.push(force),
    stop: async () => {
      ending.abort();
      moments.forget();
      keeper.stopped = true;
      // what is being fetched breaks off
      p.peers.close();
      await Promise.all([loops.stop(), catchUp.stop()]);
      await keeper.stop();
      await tidier.stop();
    },
  };
}

const countOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

const homeOf = ({ settings: { path }, dataDir, node }: BackupServiceParts): RepositoryHome =>
  new RepositoryHome(path === null ? join(dataDir, "backup.git") : join(path, `${node}.git`));

const catchUpOf = (p: BackupServiceParts, home: RepositoryHome, tidier: Tidier, writes: () => boolean): CatchUp =>
  new CatchUp({
    store: p.store,
    node: p.node,
    home,
    peers: () => copiesOf(p),
    writes,
    stopTidying: () => tidier.stop(),
    now: () => performance.now(),
    pause: (ms) => sleep(ms),
    patience: (ms) => sleep(ms, undefined, { ref: false }),
  });

/** Both look again and again, and at once when the row of the backups has changed. */
function startLoops(
  p: BackupServiceParts,
  home: RepositoryHome,
  keeper: BackupKeeper,
  pusher: Pusher,
): { stop(): Promise<void> } {
  const failed = (error: unknown): void => p.log.error("backups", { ...backupFault(error, home.dir) });
  const looks = every(
    () => (keeper.busy ? busyLookMs : lookMs),
    () => keeper.look().catch(failed),
  );
  const pushes = every(
    () => lookMs,
    () => pusher.look().catch(failed),
  );
  const unsubscribe = p.store.onApplied((changed) => {
    if (changed?.has(`backup/${p.cluster.name}`) !== true) return;
    looks.wake();
    pushes.wake();
  });
  return {
    stop: async () => {
      unsubscribe();
      await Promise.all([looks.stop(), pushes.stop()]);
    },
  };
}

type Submitter = (command: Command) => Promise<Answer>;

/** As this member: to the store here, which takes it only while it leads, or to whoever leads. */
function submittersOf({ node, store, gateway }: BackupServiceParts): {
  readonly onLeader: Submitter;
  readonly anywhere: Submitter;
} {
  const actor = { name: node, role: "member" } as const;
  return {
    onLeader: (command) => new Promise((resolve) => store.submit({ command, actor, request: null }, resolve)),
    anywhere: (command) => gateway.settle({ command, actor, request: { client: `node:${node}`, id: randomUUID() } }, submitMs),
  };
}

/** Calls `work` again and again, one at a time, so many ms apart; `wake`: after the turn of the event loop, unless it is running. */
function every(ms: () => number, work: () => Promise<void>): { wake(): void; stop(): Promise<void> } {
  let running: Promise<void> | null = null;
  let stopped = false;
  let timer: NodeJS.Timeout;
  const later = (): void => {
    clearTimeout(timer);
    if (!stopped) timer = setTimeout(run, ms());
  };
  const run = (): void => {
    if (stopped) return;
    running ??= work().finally(() => {
      running = null;
      later();
    });
  };
  later();
  return {
    wake: () => void setImmediate(run),
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

function copiesOf({ node, store, peers }: BackupServiceParts): readonly PeerCopy[] {
  return [...store.world.all<NodeRow>("node")].flatMap(({ row: { name, member, address, left } }) =>
    name === node || left || address === null ? [] : [{ node: name, member, source: peers.at(address) }],
  );
}

function pushTo(
  repository: Repository,
  { settings, token }: BackupServiceParts,
  force: boolean,
  signal: AbortSignal,
): Promise<Pushed> {
  const credentials = token === null ? null : { user: settings.remoteUser, token };
  return push(repository, { url: settings.remote ?? "", credentials }, { force, signal, deadlineMs: pushMs, pace: ownPace() });
}

/** Keeps the repository small, beside everything else: one run at a time, broken off when the repository becomes another's. */
class Tidier {
  readonly #home: RepositoryHome;
  readonly #keep: number;
  readonly #log: Log;
  #running: { readonly done: Promise<void>; readonly signal: AbortController } | null = null;

  constructor(home: RepositoryHome, keep: number, log: Log) {
    this.#home = home;
    this.#keep = keep;
    this.#log = log;
  }

  begin(): void {
    if (this.#running !== null) return;
    const signal = new AbortController();
    const done = this.#tidy(signal.signal)
      .catch((error: unknown) => {
        if (!signal.signal.aborted) this.#log.warn("backup-packing", { ...backupFault(error, this.#home.dir) });
      })
      .finally(() => (this.#running = null));
    this.#running = { done, signal };
  }

  async stop(): Promise<void> {
    this.#running?.signal.abort();
    await this.#running?.done;
  }

  async #tidy(signal: AbortSignal): Promise<void> {
    const repository = await this.#home.repository();
    await this.#home.exclusive(() => cutHistory(repository, this.#keep));
    const packed = await consolidate(repository, { pace: ownPace(), signal });
    if (packed !== null)
      this.#log.info("backup-packed", { packs: packed.packsBefore, bytes: packed.bytes, before: packed.bytesBefore });
  }
}
