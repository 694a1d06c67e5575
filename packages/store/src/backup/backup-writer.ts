/**
 * Writes the state of a cluster into its repository, commit after commit, and only what changed since the one before. A state is one
 * moment's: few things are taken from the present rows in one go, many from a frozen state while the present goes on.
 *
 * Killed anywhere it leaves the branch where it was or at the new commit. The same state of the same cluster, on top of the same commit and
 * for the same cause, is the same commit whoever writes it.
 */
import type { Registry } from "@aether/core/kernel/registry";
import { theCluster } from "@aether/core/cluster/state";
import { eventLoop } from "../events/timing.ts";
import type { FolderTree } from "../folder-tree.ts";
import { Folders } from "../git/folders.ts";
import { BranchMoved, Repository } from "../git/repository.ts";
import { Steps } from "../git/steps.ts";
import { noPace, sharingPace, type Pace } from "../pace.ts";
import type { EventStore, Moment, StoreTiming } from "../types.ts";
import { checkFollows, CommitMaker, type CommitMade, type Head } from "./commit-maker.ts";
import { Gathered, idOf, nounOf, type Thing } from "./gathered.ts";
import { manifestOf } from "./reading.ts";
import type { BackupMade } from "./types.ts";

/** So many rows are taken from the present in one turn of the loop: some milliseconds. */
const atOnceMax = 2_000;
/** The leader's loop is not kept longer than this at once: commits go through it. */
const stepMs = 3;
/** Bytes of folders that stay in memory from one commit to the next: those of about 300,000 files. */
const heldMax = 16 * 1024 * 1024;

export interface BackupWriterOptions {
  readonly dir: string;
  readonly store: Pick<EventStore, "world" | "applied" | "moment" | "freeze" | "onApplied">;
  readonly registry: Registry;
  readonly cluster: { readonly id: string; readonly name: string };
  /** Between steps when there is much to go through. Default: {@link sharingPace}. */
  readonly pace?: Pace;
  readonly timing?: Pick<StoreTiming, "now" | "immediate">;
  /** Where the files of `dir` are, if not there. */
  readonly tree?: FolderTree;
}

export interface BackupOptions {
  /** A commit even when nothing that is wanted has changed. */
  readonly force?: boolean;
}

interface Written {
  readonly made: CommitMade;
  readonly moment: Moment;
  readonly changed: number;
}

export class BackupWriter {
  readonly repository: Repository;
  private readonly options: BackupWriterOptions;
  private readonly gathered: Gathered;
  /** Null until it is read. */
  private head: Head | null = null;
  private busy = false;
  private resets = 0;

  private constructor(options: BackupWriterOptions, repository: Repository) {
    this.options = options;
    this.repository = repository;
    this.gathered = new Gathered(options.store, options.registry);
  }

  /** Makes the repository if there is none; what an earlier writer left behind is removed. */
  static async open(options: BackupWriterOptions): Promise<BackupWriter> {
    return new BackupWriter(options, await Repository.create(options.dir, options.tree));
  }

  /** Whether something may be wanted that the newest commit does not say; a backup may find then that nothing is. Cheap. */
  get dirty(): boolean {
    return this.gathered.dirty;
  }

  /**
   * Writes a commit; null when nothing that is wanted has changed. `cause`: one line for people. One at a time. Rejects when the disk does,
   * with ObjectDamaged, BranchMoved, or BackupFault for a repository that this cluster cannot go on from. Then the branch is where
   * it was, or at a commit that is whole, and the next backup looks at everything.
   */
  async backup(cause: string, { force = false }: BackupOptions = {}): Promise<BackupMade | null> {
    if (this.busy) throw new Error("one backup is written at a time");
    this.busy = true;
    try {
      return await this.write(cause, force);
    } catch (error) {
      this.reset();
      throw error;
    } finally {
      this.busy = false;
    }
  }

  /** The repository may be another than it was: the next backup compares everything with it. */
  reset(): void {
    this.resets++;
    this.head = null;
    this.gathered.lose();
  }

  close(): void {
    this.gathered.close();
  }

  private async write(cause: string, force: boolean): Promise<BackupMade | null> {
    const { dir, timing = eventLoop } = this.options;
    const began = timing.now();
    const { resets } = this;
    const head = await this.readHead();
    const few = !this.gathered.lost && this.gathered.size <= atOnceMax;
    const written = await (few ? this.writeFew(head, cause, force) : this.writeMany(head, cause, force));
    if (resets !== this.resets) throw new BranchMoved(`${dir} was replaced while a backup was written`);
    if (written === null) return null;
    const { made, moment, changed } = written;
    const { commit, manifest, folders } = made.head;
    this.gathered.committed(moment.index);
    this.head = folders.held <= heldMax ? made.head : { commit, manifest, folders: new Folders(this.repository, made.tree) };
    const { index, at } = moment;
    const { bytes, things } = made;
    return { commit, index, at, tookMs: timing.now() - began, bytes, things, changed, wanted: manifest.wanted };
  }

  /** The moment is now: rows are immutable, and what is done with them takes its time. */
  private async writeFew(head: Head, cause: string, force: boolean): Promise<Written | null> {
    const { store } = this.options;
    const moment = store.moment();
    const things = [...this.gathered.things()].map((thing) => {
      const [noun, id] = [nounOf(thing), idOf(thing)];
      return { noun, id, stored: store.world.get(noun, id) };
    });
    const maker = this.maker(head, moment, false, noPace);
    if (!force && !(await maker.wantsOther(things))) {
      this.gathered.seen(moment.index);
      return null;
    }
    for (const thing of things) await maker.take(thing);
    return { made: await maker.finish(cause), moment, changed: maker.changes.total };
  }

  /** All rows, or those of many things, as they were a moment ago. */
  private async writeMany(head: Head, cause: string, force: boolean): Promise<Written | null> {
    const { store, pace = sharingPace() } = this.options;
    const all = this.gathered.lost;
    const frozen = await store.freeze();
    try {
      // none that had changed by the frozen moment is missing, and of those that changed since the frozen row is taken
      const wanted = all ? null : new Set(this.gathered.things());
      const maker = this.maker(head, frozen, all, pace);
      for await (const rows of frozen.rows(wanted === null ? undefined : (thing) => wanted.has(thing)))
        for (const { noun, stored } of rows) {
          await maker.take({ noun, id: stored.id, stored });
          wanted?.delete(`${noun}/${stored.id}`);
        }
      for (const thing of wanted ?? []) await maker.take({ noun: nounOf(thing), id: idOf(thing), stored: undefined });
      await maker.close();
      if (force || maker.changes.total > 0)
        return { made: await maker.finish(cause), moment: frozen, changed: maker.changes.total };
      await maker.abandon();
      this.head = all ? head : null;
      if (all) this.gathered.compared(frozen.index, maker.seenOnly);
      else this.gathered.seen(frozen.index);
      return null;
    } finally {
      await frozen.close();
    }
  }

  private maker(head: Head, moment: Moment, all: boolean, pace: Pace): CommitMaker {
    const { registry, cluster, dir, timing, store } = this.options;
    const recoveries = theCluster(store.world)?.row.recoveries ?? [];
    const before = recoveries.map(({ clusterId }) => clusterId);
    checkFollows(head, moment, cluster, before, dir);
    const tell = (thing: Thing, file: string | null): void => this.gathered.remember(thing, file);
    return new CommitMaker({
      repository: this.repository,
      registry,
      cluster,
      head,
      moment,
      all,
      steps: new Steps(pace, undefined, timing, stepMs),
      tell,
    });
  }

  private async readHead(): Promise<Head> {
    const commit = await this.repository.head();
    if (this.head?.commit === commit) return this.head;
    // one that somebody else has written
    if (this.head !== null) this.gathered.lose();
    if (commit === null) return { commit, manifest: null, folders: new Folders(this.repository, null) };
    const { tree } = await this.repository.commit(commit);
    const manifest = await manifestOf(this.repository, tree);
    // files of another version's form are written anew, all of them
    const written = (noun: Registry["nouns"][number]): boolean => (noun.backup?.v ?? 0) === (manifest.facets[noun.name] ?? 0);
    if (!this.options.registry.nouns.every(written)) this.gathered.lose();
    return { commit, manifest, folders: new Folders(this.repository, tree) };
  }
}
