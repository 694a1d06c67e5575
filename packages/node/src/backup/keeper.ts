/**
 * A member's part in the cluster's backups. While it leads it writes what is asked for, or due, into its repository, waits until a quorum
 * holds it and records the receipt. Otherwise it mirrors the leader's. What a deposed leader had begun, the next one finds asked for in
 * the rows and does; what it had written already is found by the repository's head.
 */
import { backupsOf, type BackupReceipt, type BackupRequest } from "@aether/core/backup-job/state";
import { theCluster } from "@aether/core/cluster/state";
import type { BackupSettings } from "@aether/core/config/backup-settings";
import type { Command } from "@aether/core/kernel/command";
import type { BackupMade } from "@aether/store/backup/types";
import { ObjectDamaged } from "@aether/store/git/object";
import type { Answer, EventStore } from "@aether/store/types";
import type { Log } from "../daemon/log.ts";
import { backupFault } from "./fault.ts";
import { mirror, type MirrorSource } from "./mirror.ts";
import { holdersOf, settleLine, type PeerCopy } from "./copies.ts";
import type { RepositoryHome } from "./repository-home.ts";
import { BackOff, BackupSchedule, causes } from "./schedule.ts";
import { restoreUnderWay } from "./staging.ts";

/** What writes commits; store's BackupWriter. */
export interface CommitWriter {
  readonly dirty: boolean;
  backup(cause: string, how?: { readonly force?: boolean }): Promise<BackupMade | null>;
  reset(): void;
  close(): void;
}

export interface KeeperOptions {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly settings: Pick<BackupSettings, "enabled" | "intervalMs" | "debounceMs">;
  readonly store: Pick<EventStore, "world" | "role" | "applied" | "membership" | "onApplied">;
  readonly home: RepositoryHome;
  readonly openWriter: () => Promise<CommitWriter>;
  /** Whether the rows show all that had been acknowledged before the call; false when that cannot be known in time. */
  readonly caughtUp: () => Promise<boolean>;
  /** Things in a commit of this repository. */
  readonly thingsIn: (commit: string) => Promise<number>;
  /** The other members' copies, of those whose addresses are known. */
  readonly peers: () => readonly PeerCopy[];
  readonly submit: (command: Command) => Promise<Answer>;
  /** A commit is recorded: what is to be pushed and packed. */
  readonly onRecorded: () => void;
  /** Must have ended before the repository is another. */
  readonly stopTidying: () => Promise<void>;
  readonly log: Log;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Unix milliseconds. */
  readonly wallClock: () => number;
  readonly pause: (ms: number) => Promise<void>;
}

const failedMs = [5_000, 300_000] as const;
const mirrorFailedMs = [1_000, 60_000] as const;
const holdersMs = 10_000;
/** Between two looks at who holds a commit, and at the leader while a backup is asked for. Looks begin close together and come apart. */
const looksMs = [20, 250] as const;
/** Between two looks at a leader that has nothing newer while nothing is asked for, as one that settles. */
const idleLooksMs = [250, 5_000] as const;
/** How long a new leader looks for the newest commit that was recorded. */
export const settlingMs = 60_000;
const settleLookMs = 250;

interface Leading {
  /** In another one somebody else may have led, and recorded backups, between two looks. */
  readonly term: number;
  readonly since: number;
  readonly schedule: BackupSchedule;
  readonly unsubscribe: () => void;
  writer: CommitWriter | null;
  settled: boolean;
  /** For the next receipt. */
  note: string;
}

type Facts = Omit<BackupReceipt, "index" | "at" | "holders" | "note">;

export class BackupKeeper {
  /** Set when nothing more may be begun. */
  stopped = false;
  readonly #o: KeeperOptions;
  readonly #failed = new BackOff(...failedMs);
  readonly #mirrorFailed = new BackOff(...mirrorFailedMs);
  #leading: Leading | null = null;
  /** Of what was written and is not recorded. */
  #written: Facts | null = null;
  /** Of this member's repository as far as it is known; undefined: it is to be read. */
  #head: string | null | undefined = undefined;
  /** The newest request that was tried: one that comes after a failure does not wait. */
  #tried = 0;
  #nextMirror = Number.NEGATIVE_INFINITY;
  /** How far apart the looks at this leader are, for what the rows say is asked for and recorded. */
  #looks = { at: "", ms: 0 };
  #said = "";

  constructor(o: KeeperOptions) {
    this.#o = o;
  }

  /** Whether this member's repository is the one that all others are to be like. */
  get writes(): boolean {
    return this.#leading?.settled === true && this.#leads(this.#leading);
  }

  /** Whether something is asked for and not done: it is to be looked at more often. */
  get busy(): boolean {
    return !this.stopped && backupsOf(this.#o.store.world).open !== null;
  }

  #leads({ term }: Leading): boolean {
    const { role } = this.#o.store;
    return role.state === "leader" && role.term === term;
  }

  /** Does at most one thing that is due. Never rejects for what a disk or another member does. */
  async look(): Promise<void> {
    if (this.stopped || theCluster(this.#o.store.world) === undefined) return;
    const { state, term } = this.#o.store.role;
    if (state !== "leader" || this.#leading?.term !== term) await this.#endLeading();
    return state === "leader" ? this.#lead() : this.#follow();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.#endLeading();
  }

  async #endLeading(): Promise<void> {
    const leading = this.#leading;
    if (leading === null) return;
    this.#leading = null;
    this.#written = null;
    leading.unsubscribe();
    await this.#o.stopTidying();
    leading.writer?.close();
  }

  async #lead(): Promise<void> {
    const leading = (this.#leading ??= this.#begin());
    const { settings, store, submit, now } = this.#o;
    const row = backupsOf(store.world);
    const waits = !this.#failed.over(now()) && (row.open === null || row.open.index <= this.#tried);
    if (waits || restoreUnderWay(store.world, this.#o.wallClock())) return;
    this.#tried = row.open?.index ?? this.#tried;
    try {
      if (!leading.settled && !(await this.#settle(leading))) return;
      const byItself = settings.enabled && theCluster(store.world)?.row.state === "ready";
      if (row.open === null && !byItself) return;
      leading.writer ??= await this.#o.home.exclusive(() => this.#o.openWriter());
      if (row.open !== null) return await this.#backUp(leading, leading.writer, row.open);
      const due = leading.schedule.due(now(), leading.writer.dirty);
      const cause = row.failed === null ? due : causes.again;
      if (cause !== null) await submit({ type: "RequestBackup", id: this.#o.cluster.name, cause });
    } catch (error) {
      await this.#fail(error);
    }
  }

  #begin(): Leading {
    const { settings, store, now } = this.#o;
    const schedule = new BackupSchedule(settings, now());
    const ours = `backup/${this.#o.cluster.name}`;
    const unsubscribe = store.onApplied((changed) => {
      if (changed === null || changed.size > 1 || !changed.has(ours)) schedule.changed(now());
    });
    return { term: store.role.term, since: now(), schedule, unsubscribe, writer: null, settled: false, note: "" };
  }

  /** Before it writes, a new leader has what was recorded last, or knows that nobody who answers has it. */
  async #settle(leading: Leading): Promise<boolean> {
    const { home, store, peers, now, caughtUp } = this.#o;
    // until then a receipt may be in the log that the rows do not show yet
    if (!(await caughtUp())) return false;
    const last = backupsOf(store.world).last?.commit ?? null;
    const patient = now() - leading.since < settlingMs;
    const settled = await home.exclusive(() => settleLine(home, last, peers(), patient));
    if (settled === null) {
      await this.#o.pause(settleLookMs);
      return false;
    }
    if (settled !== "") this.#o.log.warn("backup-line", { why: settled });
    leading.note = settled;
    leading.settled = true;
    return true;
  }

  async #backUp(leading: Leading, writer: CommitWriter, open: BackupRequest): Promise<void> {
    const { home, store, submit, cluster, now } = this.#o;
    const began = now();
    const upTo = store.applied;
    if (this.#written === null || this.#written.upTo < open.index) {
      const force = open.cause === causes.interval;
      const made = await home.exclusive(() => writer.backup(open.cause, { force }));
      this.#written = made === null ? await this.#unchanged(upTo, began) : factsOf(made);
      this.#head = this.#written.commit;
    }
    const facts = this.#written;
    const holders = await this.#awaitHolders(facts.commit);
    if (this.stopped || !this.#leads(leading)) return;
    const answer = await submit({ type: "RecordBackup", id: cluster.name, ...facts, holders, note: leading.note });
    if (!answer.ok) {
      if (answer.rejection.reason === "conflict") this.#written = null;
      return this.#o.log.warn("backup-unrecorded", { reason: answer.rejection.reason, message: answer.rejection.message });
    }
    this.#written = null;
    this.#failed.done();
    leading.note = "";
    leading.schedule.done(now(), began);
    this.#o.log.info("backup", {
      commit: facts.commit,
      upTo: facts.upTo,
      changed: facts.changed,
      ms: facts.tookMs,
      holders: holders.join(" "),
    });
    this.#o.onRecorded();
  }

  /** Nothing that is wanted has changed since the newest commit. */
  async #unchanged(upTo: number, began: number): Promise<Facts> {
    const { home, now, thingsIn } = this.#o;
    const commit = await home.head();
    if (commit === null) throw new Error("the first backup wrote no commit");
    const things = await thingsIn(commit);
    return { commit, upTo, tookMs: Math.round(now() - began), bytes: 0, things, changed: 0 };
  }

  /** Names of the nodes that hold the commit: a quorum of the voters, or those that do after a while. */
  async #awaitHolders(commit: string): Promise<readonly string[]> {
    const { store, peers, now, pause } = this.#o;
    const until = now() + holdersMs;
    for (let ms: number = looksMs[0]; ; ms = Math.min(2 * ms, looksMs[1])) {
      const { holders, quorum } = await holdersOf(store, commit, peers());
      if (quorum || now() >= until || this.stopped || store.role.state !== "leader") return holders;
      await pause(ms);
    }
  }

  async #fail(error: unknown): Promise<void> {
    const { home, submit, cluster, log, now } = this.#o;
    const { why, hint } = backupFault(error, home.dir);
    this.#failed.failed(now());
    this.#head = undefined;
    log.warn("backup-failed", { why, hint });
    await submit({ type: "FailBackup", id: cluster.name, why, hint });
  }

  /** Follows the leader's repository: closely while a backup is asked for, and until it has what was recorded. */
  async #follow(): Promise<void> {
    const { home, store, peers, now, log } = this.#o;
    const { open, last } = backupsOf(store.world);
    if (now() < this.#nextMirror || !this.#mirrorFailed.over(now())) return;
    try {
      if (last === null && open === null) return;
      this.#head ??= await this.#ownHead();
      if (open === null && last?.commit === this.#head) return;
      const leader = peers().find(({ member }) => member === store.role.leader);
      if (leader === undefined) return;
      const changed = await this.#mirrorFrom(leader.source);
      this.#nextMirror = now() + (changed ? looksMs[1] : this.#untilNextLook(open, last));
      this.#mirrorFailed.done();
      this.#said = "";
    } catch (error) {
      this.#head = undefined;
      this.#mirrorFailed.failed(now());
      const { why, hint } = backupFault(error, home.dir);
      if (why !== this.#said) log.warn("backup-mirror", { why, hint });
      this.#said = why;
    }
  }

  /** The leader had nothing newer. */
  #untilNextLook(open: BackupRequest | null, last: BackupReceipt | null): number {
    const [least, most] = open === null ? idleLooksMs : looksMs;
    const { leader, term } = this.#o.store.role;
    const at = [open?.index, last?.index, leader, term].join();
    this.#looks = { at, ms: this.#looks.at === at ? Math.min(2 * this.#looks.ms, most) : least };
    return this.#looks.ms;
  }

  /** Null as well for a repository that cannot be read: the mirror sees to it. */
  async #ownHead(): Promise<string | null> {
    try {
      const repository = await this.#o.home.repository();
      const head = await repository.head();
      if (head !== null) await repository.commit(head);
      return head;
    } catch (error) {
      if (error instanceof ObjectDamaged) return null;
      throw error;
    }
  }

  async #mirrorFrom(source: MirrorSource): Promise<boolean> {
    const { home, log, now } = this.#o;
    const began = now();
    const mirrored = await home.exclusive(async () => {
      // listed in here: by an older listing a repository that was brought up meanwhile would be taken back
      const listing = await source.listing();
      if (!listing.writes || listing.head === null || listing.head === this.#head) return null;
      return mirror(home, source, listing);
    });
    if (mirrored === null) return false;
    const { head, bytes, aside } = mirrored;
    this.#head = head;
    if (aside !== null) log.warn("backup-aside", { kept: aside, why: "the leader's repository is of another line" });
    log.info("backup-mirrored", { head: head ?? "", bytes, ms: Math.round(now() - began) });
    return true;
  }
}

const factsOf = ({ commit, index, tookMs, bytes, things, changed }: BackupMade): Facts => ({
  commit,
  upTo: index,
  tookMs: Math.round(tookMs),
  bytes,
  things,
  changed,
});
