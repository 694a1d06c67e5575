/**
 * Writes the state of a cluster into its repository, commit after commit, and only what changed since the one before. A state is one
 * moment's: few things are taken from the present rows in one go, many from a frozen state while the present goes on.
 *
 * Killed anywhere it leaves the branch where it was or at the new commit. The same state of the same cluster, on top of the same commit and
 * for the same cause, is the same commit whoever writes it.
 */
import { manifestPath, manifestText, type Manifest } from "@aether/core/backup/manifest";
import { BackupFault, filesOf, pathOf, observedFolder } from "@aether/core/backup/thing-files";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import type { Stored } from "@aether/core/kernel/world";
import { eventLoop } from "../events/timing.ts";
import type { FolderTree } from "../folder-tree.ts";
import { Folders } from "../git/folders.ts";
import { blobOf, commitOf, type Oid, oidOf, treeOf } from "../git/object.ts";
import type { PackWriter } from "../git/pack-writer.ts";
import { Repository } from "../git/repository.ts";
import { Steps } from "../git/steps.ts";
import { noPace, ownPace, type Pace } from "../pace.ts";
import type { EventStore, Moment, StoreTiming } from "../types.ts";
import { Changes, messageOf } from "./changes.ts";
import { Gathered, idOf, nounOf } from "./gathered.ts";
import { manifestOf } from "./reading.ts";
import type { BackupMade } from "./types.ts";

/** So many rows are taken from the present in one turn of the loop: a few milliseconds. */
const atOnceMax = 2_000;
/** Entries of folders that are kept in memory from one commit to the next. */
const heldMax = 50_000;

export interface BackupWriterOptions {
  readonly dir: string;
  readonly store: Pick<EventStore, "world" | "applied" | "moment" | "freeze" | "onApplied">;
  readonly registry: Registry;
  readonly cluster: { readonly id: string; readonly name: string };
  /** How all rows are gone through; few are without rests. Default: as long as each step took. */
  readonly pace?: Pace;
  readonly timing?: Pick<StoreTiming, "now">;
  /** Where the files of `dir` are, if not there. */
  readonly tree?: FolderTree;
}

/** The newest commit, and its folders as far as they are known. */
interface Head {
  readonly commit: Oid | null;
  readonly manifest: Manifest | null;
  readonly folders: Folders;
}

export class BackupWriter {
  readonly repository: Repository;
  private readonly options: BackupWriterOptions;
  private readonly gathered: Gathered;
  private head: Head | null = null;
  private busy = false;

  private constructor(options: BackupWriterOptions, repository: Repository) {
    this.options = options;
    this.repository = repository;
    this.gathered = new Gathered(options.store, options.registry);
  }

  /** Makes the repository if there is none; what an earlier writer left behind is removed. */
  static async open(options: BackupWriterOptions): Promise<BackupWriter> {
    return new BackupWriter(options, await Repository.create(options.dir, options.tree));
  }

  /** Whether something may be wanted now that the newest commit does not say: then a backup may still find that nothing is. Cheap. */
  get dirty(): boolean {
    return this.gathered.dirty;
  }

  /**
   * Writes a commit. Null when nothing wanted has changed and nobody insists (`force`). `cause`: one line for people. One at a time. Rejects
   * when the disk does, with {@link ObjectDamaged}, BranchMoved, or {@link BackupFault} for a repository that this cluster cannot go on from:
   * then the branch is where it was, unless the disk failed after it was moved, and the next backup finds what this one did not write.
   */
  async backup(cause: string, { force = false }: { readonly force?: boolean } = {}): Promise<BackupMade | null> {
    if (this.busy) throw new Error("one backup is written at a time");
    this.busy = true;
    try {
      return await this.write(cause, force);
    } catch (error) {
      // what the folders in memory say was not written
      this.head = null;
      throw error;
    } finally {
      this.busy = false;
    }
  }

  /** The repository is another than it was: everything is compared with it next. */
  reset(): void {
    this.head = null;
    this.gathered.lose();
  }

  close(): void {
    this.gathered.close();
  }

  private async write(cause: string, force: boolean): Promise<BackupMade | null> {
    const { timing = eventLoop } = this.options;
    const began = timing.now();
    const head = await this.readHead();
    if (!this.gathered.lost && this.gathered.size <= atOnceMax) {
      const moment = this.options.store.moment();
      const rows = [...this.gathered.things()].map((thing) => this.taken(thing));
      const commit = new Commit(this, head, moment, false, noPace);
      if (!force && !(await commit.wantsOther(rows))) return this.nothingNew(moment);
      await commit.take(rows);
      return this.finish(commit, cause, began);
    }
    return this.writeFrozen(head, cause, force, began);
  }
}
