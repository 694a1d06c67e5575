/** Reads the commits of a backup's repository: what there is, what a commit holds, what it changed. Writes nothing. */
import { manifestPath, type Manifest } from "@aether/core/backup/manifest";
import { upcastWanted } from "@aether/core/backup/facet-version";
import { BackupFault, observedFolder, parseObserved, parseThing, type WantedThing } from "@aether/core/backup/thing-files";
import type { BackupFacet } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import { Folders } from "../git/folders.ts";
import type { Oid } from "../git/object.ts";
import { Repository } from "../git/repository.ts";
import { Steps } from "../git/steps.ts";
import { eventLoop } from "../events/timing.ts";
import { noPace, type Pace } from "../pace.ts";
import type { StoreTiming } from "../types.ts";
import { parseMessage } from "./changes.ts";
import { manifestOf, textOf } from "./reading.ts";
import { changedFiles } from "./changed-files.ts";
import type { BackedUpRow, ListedBackup, ThingChange, Verified } from "./types.ts";
import { verifyCommit } from "./verify.ts";

/** Whatever reads a commit rejects with {@link BackupFault} or ObjectDamaged when it is not what was written. */
export class BackupReader {
  readonly repository: Repository;
  private readonly registry: Registry;
  private readonly pace: Pace;
  private readonly timing: Pick<StoreTiming, "now" | "immediate">;

  /** `pace`: between the steps of what goes through a whole commit. */
  constructor(
    repository: Repository,
    registry: Registry,
    pace: Pace = noPace,
    timing: Pick<StoreTiming, "now" | "immediate"> = eventLoop,
  ) {
    this.repository = repository;
    this.registry = registry;
    this.pace = pace;
    this.timing = timing;
  }

  /** Rejects with ENOENT where there is no repository. */
  static async open(dir: string, registry: Registry, pace?: Pace): Promise<BackupReader> {
    return new BackupReader(await Repository.open(dir), registry, pace);
  }

  /** The newest backups first, at most `limit`; commits that are none are passed over. */
  async *list(limit: number, from?: Oid): AsyncIterable<ListedBackup> {
    let count = 0;
    for await (const { oid, commit } of this.repository.log(Number.POSITIVE_INFINITY, from)) {
      if (count >= limit) return;
      const facts = parseMessage(commit.message);
      if (facts === null) continue;
      const { subject, ...said } = facts;
      count++;
      yield { commit: oid, ...said, message: subject };
    }
  }

  async manifest(commit: Oid): Promise<Manifest> {
    return manifestOf(this.repository, await this.treeOf(commit));
  }

  /** Everything that is wanted, in this registry's versions. */
  async *things(commit: Oid): AsyncIterable<WantedThing> {
    for await (const { thing } of this.wanted(commit)) yield thing;
  }

  /** Whole rows. Of a noun that observes nothing a row's version is 1, and its index and time are the commit's: the backup does not say. */
  async *rows(commit: Oid): AsyncIterable<BackedUpRow> {
    const { index, at } = await this.manifest(commit);
    for await (const { thing, facet, path, folders } of this.wanted(commit)) {
      const { noun, id, wanted } = thing;
      if (facet.observed === undefined) {
        yield { noun, stored: { id, version: 1, index, at, row: facet.row(wanted, undefined) } };
        continue;
      }
      const file = `${observedFolder}/${path}`;
      const oid = await folders.file(file);
      if (oid === null) throw new BackupFault(`${file} is missing`);
      const seen = parseObserved(this.registry, file, await textOf(this.repository, oid));
      const row = facet.row(wanted, seen.observed);
      yield { noun, stored: { id, version: seen.version, index: seen.index, at: seen.at, row } };
    }
  }

  /** What is wanted in `to` and not, or otherwise, in `from` (null: nothing was), without reading what they have alike. */
  async *changes(from: Oid | null, to: Oid): AsyncIterable<ThingChange> {
    const sides = [from === null ? null : await this.side(from), await this.side(to)] as const;
    for await (const file of changedFiles(this.repository, sides[0]?.tree ?? null, sides[1].tree, isWanted)) {
      const [before, after] = await Promise.all([
        this.thingIn(file.path, file.from, sides[0]),
        this.thingIn(file.path, file.to, sides[1]),
      ]);
      const { noun, id } = (after ?? before) as WantedThing;
      const kind = before === null ? "created" : after === null ? "removed" : "changed";
      yield { noun, id, kind, from: before?.wanted, to: after?.wanted };
    }
  }

  /** What the commit itself changed: against the one before it, or against nothing where the history begins. */
  async *changesOf(commit: Oid): AsyncIterable<ThingChange> {
    const [, before] = await this.firstTwo(commit);
    yield* this.changes(before ?? null, commit);
  }

  /**
   * Recomputes the hash of every object of the commit (the newest, if left out), and reads every file. Never rejects over damage. What is
   * wanted is given to `onThing` as it is read: it counts when all is sound.
   */
  async verify(commit?: Oid, onThing?: (thing: WantedThing) => void): Promise<Verified> {
    return verifyCommit(this.repository, this.registry, commit, this.steps(), onThing);
  }

  private steps(): Steps {
    return new Steps(this.pace, undefined, this.timing);
  }

  private async *wanted(commit: Oid): AsyncIterable<{
    readonly thing: WantedThing;
    readonly facet: BackupFacet;
    readonly path: string;
    readonly folders: Folders;
  }> {
    const { tree, manifest } = await this.side(commit);
    const folders = new Folders(this.repository, tree);
    const steps = this.steps();
    for await (const { path, oid } of folders.files()) {
      if (!isWanted(path.slice(0, path.indexOf("/") + 1 || undefined))) continue;
      const said = parseThing(this.registry, path, await textOf(this.repository, oid));
      const { thing, facet } = this.current(said, manifest);
      yield { thing, facet, path, folders };
      if (steps.due) await steps.rest();
    }
    this.repository.forgetBlocks();
  }

  private async thingIn(path: string, oid: Oid | null, side: Side | null): Promise<WantedThing | null> {
    if (oid === null || side === null) return null;
    return this.current(parseThing(this.registry, path, await textOf(this.repository, oid)), side.manifest).thing;
  }

  private current(said: WantedThing, manifest: Manifest): { readonly thing: WantedThing; readonly facet: BackupFacet } {
    const facet = this.registry.noun(said.noun)?.backup as BackupFacet;
    const v = manifest.facets[said.noun];
    if (v === undefined) throw new BackupFault(`${manifestPath} does not say in which version a ${said.noun} was written`);
    return { thing: { ...said, wanted: upcastWanted(facet, v, said.wanted) }, facet };
  }

  private async side(commit: Oid): Promise<Side> {
    const tree = await this.treeOf(commit);
    return { tree, manifest: await manifestOf(this.repository, tree) };
  }

  private async treeOf(commit: Oid): Promise<Oid> {
    return (await this.repository.commit(commit)).tree;
  }

  private async firstTwo(commit: Oid): Promise<Oid[]> {
    const found: Oid[] = [];
    for await (const { oid } of this.repository.log(2, commit)) found.push(oid);
    return found;
  }
}

interface Side {
  readonly tree: Oid;
  readonly manifest: Manifest;
}

/** Whether a name at the root is of a folder of wanted things. */
const isWanted = (name: string): boolean => name !== manifestPath && name.replace(/\/$/, "") !== observedFolder;
