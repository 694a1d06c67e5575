/** One commit in the making: things are put where their files belong, and what that changes becomes objects of one pack. */
import { manifestFormat, manifestPath, manifestText, type Manifest } from "@aether/core/backup/manifest";
import { BackupFault, observedFolder, observedFile, parseThing, pathOf, wantedFile } from "@aether/core/backup/thing-files";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import type { Stored } from "@aether/core/kernel/world";
import { Folders } from "../git/folders.ts";
import { blobOf, commitOf, oidOf, type Oid } from "../git/object.ts";
import { ObjectPack } from "../git/object-pack.ts";
import type { Repository } from "../git/repository.ts";
import type { Steps } from "../git/steps.ts";
import type { Moment } from "../types.ts";
import { Changes, messageOf } from "./changes.ts";
import type { Thing } from "./gathered.ts";
import { textOf, wantedOf } from "./reading.ts";

/** So many things of which only what was seen has changed are named. */
const seenMax = 10_000;

/** The newest commit, and its folders as far as they are known. */
export interface Head {
  readonly commit: Oid | null;
  readonly manifest: Manifest | null;
  readonly folders: Folders;
}

/** A thing as it is at the moment; undefined when it is not there. */
export interface TakenThing {
  readonly noun: string;
  readonly id: string;
  readonly stored: Stored | undefined;
}

export interface CommitParts {
  readonly repository: Repository;
  readonly registry: Registry;
  readonly cluster: { readonly id: string; readonly name: string };
  readonly head: Head;
  readonly moment: Moment;
  /** Every thing there is will be taken: then the folders are made anew, and what is in the head's and not in them is removed. */
  readonly all: boolean;
  readonly steps: Steps;
  /** Told what a thing's file of wanted state is; null when there is none. */
  readonly tell: (thing: Thing, file: Oid | null) => void;
}

export interface CommitMade {
  readonly head: Head & { readonly commit: Oid; readonly manifest: Manifest };
  readonly tree: Oid;
  readonly bytes: number;
  readonly things: number;
}

export class CommitMaker {
  readonly changes: Changes;
  /** Things of which only what was seen has changed; null when they are too many to be named. */
  seenOnly: Thing[] | null = [];
  private readonly parts: CommitParts;
  private readonly folders: Folders;
  private readonly writer: ObjectPack;
  private readonly facets: ReadonlyMap<string, Noun>;
  /** By noun, how many things that are there were taken. */
  private readonly taken = new Map<string, number>();
  private level: number;

  constructor(parts: CommitParts) {
    const { registry, repository, head, all } = parts;
    this.parts = parts;
    this.folders = all ? new Folders(repository, null) : head.folders;
    this.changes = new Changes(registry);
    this.writer = new ObjectPack(repository.packFolder, "backup");
    this.facets = new Map(registry.nouns.filter(({ backup }) => backup !== undefined).map((noun) => [noun.name, noun]));
    this.level = head.manifest?.level ?? 1;
  }

  /** Puts the files of a thing where they belong, or takes them away. */
  async take({ noun: name, id, stored }: TakenThing): Promise<void> {
    const noun = this.facets.get(name);
    if (noun?.backup === undefined) return;
    const place = pathOf(noun.backup.folder, id);
    if (stored !== undefined) this.count(name, id, stored);
    const wanted = stored === undefined ? null : wantedFile(noun, stored);
    const observed = stored === undefined ? null : observedFile(noun, stored);
    const [before, now] = await this.put(place, wanted?.text);
    if (before !== now) this.changes.add(name, id, now === null ? "removed" : before === null ? "created" : "changed");
    if (noun.backup.observed !== undefined) {
      const [seen, sees] = await this.put(`${observedFolder}/${place}`, observed?.text);
      if (before === now && seen !== sees) this.noteSeen(`${name}/${id}`);
    }
    this.parts.tell(`${name}/${id}`, now);
    await this.breathe();
  }

  /** Whether something else is wanted of these than the newest commit says. Puts nothing. */
  async wantsOther(things: readonly TakenThing[]): Promise<boolean> {
    let other = false;
    for (const { noun: name, id, stored } of things) {
      const noun = this.facets.get(name);
      if (noun?.backup === undefined) continue;
      const file = stored === undefined ? null : wantedFile(noun, stored);
      const now = file === null ? null : oidOf(blobOf(file.text));
      this.parts.tell(`${name}/${id}`, now);
      other ||= (await this.parts.head.folders.file(pathOf(noun.backup.folder, id))) !== now;
      await this.breathe();
    }
    return other;
  }

  /** Nothing else will be taken. Afterwards {@link changes} is all that changes. */
  async close(): Promise<void> {
    const { head, all, steps } = this.parts;
    if (!all) return;
    await this.folders.writeFolders(this.writer, steps, head.folders);
    const nouns = new Map([...this.facets.values()].map((noun) => [noun.backup?.folder ?? "", noun]));
    for await (const { path, oid } of head.folders.notIn(this.folders, steps)) {
      const noun = nouns.get(path.slice(0, Math.max(0, path.indexOf("/"))));
      // whatever else was there had no business in it
      if (noun !== undefined) this.changes.add(noun.name, await this.idIn(path, oid), "removed");
    }
  }

  /** After {@link close}. The commit is durable and the branch at it when this resolves. */
  async finish(cause: string): Promise<CommitMade> {
    const { folders } = this;
    const { head, repository, moment, cluster, steps } = this.parts;
    await folders.put(manifestPath, null);
    await folders.writeFolders(this.writer, steps);
    const manifest = this.manifest(wantedOf(await folders.top()));
    await folders.put(manifestPath, this.writer.add(blobOf(manifestText(manifest))));
    const things = Object.values(manifest.counts).reduce((sum, count) => sum + count, 0);
    const tree = await folders.write(this.writer, steps);
    const commit = this.writer.add(
      commitOf({
        tree,
        parents: head.commit === null ? [] : [head.commit],
        by: `Aether <aether@${cluster.name}>`,
        at: Math.floor(moment.at / 1_000),
        message: messageOf(this.changes, moment, things, cause),
      }),
    );
    const made = await this.writer.finish(steps);
    await repository.moveHead(head.commit, commit);
    return { head: { commit, manifest, folders }, tree, bytes: made?.bytes ?? 0, things };
  }

  /** Leaves nothing behind on disk; the folders in memory are not to be used any more. */
  abandon(): Promise<void> {
    return this.writer.discard();
  }

  private manifest(wanted: Oid): Manifest {
    const { head, moment, cluster, all } = this.parts;
    const { index, term, at, chain } = moment;
    const counts: Record<string, number> = {};
    const facets: Record<string, number> = {};
    for (const [name, { backup }] of this.facets) {
      counts[name] = all ? (this.taken.get(name) ?? 0) : (head.manifest?.counts[name] ?? 0) + this.changes.more(name);
      facets[name] = backup?.v ?? 0;
    }
    const { id, name } = cluster;
    return { format: manifestFormat, cluster: { id, name }, level: this.level, index, term, at, chain, counts, facets, wanted };
  }

  /** What was there, and what is there now. */
  private async put(path: string, text: string | undefined): Promise<readonly [Oid | null, Oid | null]> {
    const blob = text === undefined ? null : blobOf(text);
    const oid = blob === null ? null : oidOf(blob);
    const there = await this.folders.put(path, oid);
    const before = this.parts.all ? await this.parts.head.folders.file(path) : there;
    if (blob !== null && before !== oid) this.writer.add(blob, oid ?? undefined);
    return [before, oid];
  }

  /** For people, and the same as if its thing had been seen to go. */
  private async idIn(path: string, oid: Oid): Promise<string> {
    try {
      return parseThing(this.parts.registry, path, await textOf(this.parts.repository, oid)).id;
    } catch (error) {
      if (!(error instanceof BackupFault)) throw error;
      return path.slice(path.lastIndexOf("/") + 1);
    }
  }

  private count(noun: string, id: string, { row }: Stored): void {
    this.taken.set(noun, (this.taken.get(noun) ?? 0) + 1);
    const { featureLevel } = row as { readonly featureLevel?: unknown };
    if (noun === "cluster" && id === this.parts.cluster.name && typeof featureLevel === "number") this.level = featureLevel;
  }

  private noteSeen(thing: Thing): void {
    if (this.seenOnly === null) return;
    if (this.seenOnly.length < seenMax) this.seenOnly.push(thing);
    else this.seenOnly = null;
  }

  private async breathe(): Promise<void> {
    if (this.writer.full) await this.writer.spill();
    if (this.parts.steps.due) await this.parts.steps.rest();
  }
}

/**
 * Throws {@link BackupFault} when a commit of this moment cannot come after `head`. `before`: ids of the clusters that this one was recovered
 * from. Their line of commits goes on, also where it ends with entries that did not outlive the recovery: whoever brings back a moment
 * holds the digest of a commit against the log.
 */
export function checkFollows(
  head: Head,
  moment: Moment,
  cluster: { readonly id: string; readonly name: string },
  before: readonly string[],
  dir: string,
): void {
  const { manifest } = head;
  if (manifest === null || before.includes(manifest.cluster.id)) return;
  if (manifest.cluster.id !== cluster.id) {
    const theirs = `backups of cluster ${manifest.cluster.name} (${manifest.cluster.id})`;
    throw new BackupFault(`${dir} holds ${theirs}, this is ${cluster.name} (${cluster.id}): give [backup] another path`);
  }
  if (manifest.index > moment.index)
    throw new BackupFault(`${dir} has a backup of entry ${manifest.index}, and this member knows ${moment.index} entries so far`);
}
