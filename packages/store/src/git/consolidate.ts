/**
 * Keeps a repository small by itself: packs, one of each backup, become one. Of two versions of the same path, folders too, the older one
 * is kept as its difference to the newer one, so that the newest is whole and quick to read.
 *
 * What is in the packs that go is in the one that comes, whoever needs it, and that is durable before any goes: a process that is killed
 * leaves all of it, some of it twice. Only when the history was cut (shallow.ts) what no commit reaches any more is left behind.
 */
import { ownPace, type Pace } from "../pace.ts";
import type { StoreTiming } from "../types.ts";
import { type Oid, parseCommit } from "./object.ts";
import { OidTable } from "./oid-table.ts";
import { PackBuilder } from "./pack-builder.ts";
import type { PackFile } from "./pack-file.ts";
import { PackSource } from "./pack-source.ts";
import { kindCodes } from "./pack-format.ts";
import { Repack } from "./repack.ts";
import type { Repository } from "./repository.ts";
import { Steps } from "./steps.ts";
import { added, successors } from "./tree-diff.ts";

/** More are too many: each is looked into for an object that is in none. */
const packsMax = 50;
/** The packs beside the largest become one with it when they weigh this part of it, and one without it before that. */
const restPart = 1 / 4;
/** Below that a repository is small, however many times its first pack it is. */
const smallBytes = 4 * 1024 * 1024;
/** What was cut off is left behind when it is this part of what is kept. */
const cutPart = 1 / 4;

export interface Consolidation {
  readonly packsBefore: number;
  readonly packs: number;
  /** In the new pack. */
  readonly objects: number;
  /** Of all packs and their indexes. */
  readonly bytesBefore: number;
  readonly bytes: number;
}

export interface ConsolidateOptions {
  /** How it rests between steps of a few milliseconds. */
  readonly pace?: Pace;
  /** Everything into one pack, whether that is due or not. */
  readonly always?: boolean;
  readonly signal?: AbortSignal;
  readonly timing?: Pick<StoreTiming, "now" | "immediate">;
}

/**
 * Null when nothing is due. One at a time in a repository; backups may be written meanwhile. Rejects with ObjectDamaged, the signal's
 * reason, or what the file system says, and leaves the repository as it was.
 */
export async function consolidate(repository: Repository, options: ConsolidateOptions = {}): Promise<Consolidation | null> {
  const { pace = ownPace(), always = false, signal, timing } = options;
  const steps = new Steps(pace, signal, timing);
  await repository.refresh();
  const before = repository.packFiles;
  const head = await repository.head();
  if (head === null) return null;
  const dropped = await droppedCommits(repository, head, always ? 0 : cutPart);
  const merged = chosen(before, always || dropped, dropped);
  if (merged === null) return null;
  const whole = merged.length === before.length;
  const made = await mergePacks({ repository, packs: merged, head, steps, whole, reachable: dropped });
  await repository.refresh();
  return {
    packsBefore: before.length,
    packs: repository.packFiles.length,
    objects: made,
    bytesBefore: weightOf(before),
    bytes: weightOf(repository.packFiles),
  };
}

/** The packs that become one, the largest last; null when all stay as they are. */
function chosen(packs: readonly PackFile[], all: boolean, single: boolean): readonly PackFile[] | null {
  const sorted = packs.toSorted((a, b) => a.bytes - b.bytes);
  const largest = sorted.at(-1);
  if (largest === undefined || (sorted.length === 1 && !single)) return null;
  const rest = sorted.slice(0, -1);
  const weight = weightOf(rest);
  if (all || weight > Math.max(largest.bytes, smallBytes)) return sorted;
  if (packs.length <= packsMax) return null;
  return weight > largest.bytes * restPart ? sorted : rest;
}

const weightOf = (packs: readonly PackFile[]): number => packs.reduce((sum, { bytes }) => sum + bytes, 0);

interface Merge {
  readonly repository: Repository;
  /** The largest last. */
  readonly packs: readonly PackFile[];
  readonly head: Oid;
  readonly steps: Steps;
  /** These are all packs. */
  readonly whole: boolean;
  /** Only what commits reach comes into the new pack. */
  readonly reachable: boolean;
}

/** Gives the number of objects in the new pack. */
async function mergePacks(merge: Merge): Promise<number> {
  const { repository, packs, head, steps } = merge;
  const lone = await repository.lonePacks();
  const sources: PackSource[] = [];
  const builder = new PackBuilder(
    repository.packFolder,
    "consolidated",
    packs.reduce((sum, { index }) => sum + index.count, 0),
  );
  try {
    for (const pack of packs) sources.push(await PackSource.open(repository.packFolder, pack, steps));
    const reached = merge.reachable ? await reachedFrom(repository, sources, builder, head, steps) : null;
    const wanted = (name: Uint8Array): boolean => reached === null || reached.find(name) >= 0;
    const repack = await Repack.over({ repository, sources, builder, steps, wanted });
    await makeDeltas(repository, repack, merge.whole ? (sources.at(-1) ?? null) : null, head);
    for (const source of sources) await repack.copyAll(source);
    const going = new Set(packs.map(({ name }) => name));
    if (reached !== null) for (const name of await awaited(sources, reached, head)) going.delete(name);
    const made = await builder.finish(steps);
    if (made === null) throw new Error("packs that hold nothing are none");
    going.delete(made.name);
    await repository.refresh();
    // whoever was naming a pack when this began has long done it
    const left = (await repository.lonePacks()).filter((name) => lone.includes(name));
    await repository.removePacks([...going, ...left]);
    return made.objects;
  } catch (error) {
    await builder.discard().catch(() => undefined);
    throw error;
  } finally {
    for (const source of sources) await source.close();
  }
}

/**
 * Older versions become deltas of newer ones. Commits that lie in one pack were compared with each other when that was made: what is left
 * is to compare the newest commits of the packs. `largest`: no pack holds older ones; null where that is not known.
 */
async function makeDeltas(repository: Repository, repack: Repack, largest: PackSource | null, head: Oid): Promise<void> {
  const trees: Oid[] = [];
  let source: PackSource | null = null;
  for await (const { oid, commit } of repository.log(Number.POSITIVE_INFINITY, head)) {
    const at = repack.placeOf(oid);
    if (at === null && source !== null) break;
    // one that is in none of the packs yet is of a backup that was written since they were looked at
    if (at === null || at.source === source) continue;
    ({ source } = at);
    trees.push(commit.tree);
    if (source === largest) break;
  }
  for (const [i, older] of trees.entries()) {
    const pairs = i === 0 ? [] : successors((oid) => repack.content(oid), older, trees[i - 1] ?? older);
    for await (const pair of pairs) await repack.makeDelta(pair.older, pair.newer);
  }
}

/** The names of all objects that commits from `head` to where the history was cut need. */
async function reachedFrom(
  repository: Repository,
  sources: readonly PackSource[],
  builder: PackBuilder,
  head: Oid,
  steps: Steps,
): Promise<OidTable> {
  const reached = new OidTable(sources.reduce((sum, { count }) => sum + count, 0));
  const reader = await Repack.over({ repository, sources, builder, steps });
  const seen = (oid: Oid): boolean => {
    const { size } = reached;
    return reached.add(Buffer.from(oid, "hex")) < size;
  };
  const cut = await repository.boundary();
  const waiting = [head];
  for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
    if (seen(oid)) continue;
    const commit = parseCommit(await reader.content(oid));
    if (!cut.has(oid)) waiting.push(...commit.parents);
    for await (const _ of added((each) => reader.content(each), null, commit.tree, seen)) if (steps.due) await steps.rest();
  }
  return reached;
}

/**
 * The packs of which a commit is about to become the newest: a backup that is written while this goes on names its pack first and moves
 * the branch then.
 */
async function awaited(sources: readonly PackSource[], reached: OidTable, head: Oid): Promise<readonly string[]> {
  const names: string[] = [];
  for (const source of sources) {
    for (let place = 0; place < source.count; place++) {
      if (source.codeOf(place) !== kindCodes.commit || reached.find(source.nameAt(place)) >= 0) continue;
      const { parents } = parseCommit(await source.whole(place));
      if (parents[0] === head) names.push(source.name);
    }
  }
  return names;
}

/** Whether at least that part of what is kept was cut off and lies there still. */
async function droppedCommits(repository: Repository, head: Oid, part: number): Promise<boolean> {
  const cut = await repository.boundary();
  if (cut.size === 0 || (await repository.hasOtherRefs())) return false;
  let kept = 0;
  let oldest: Oid = head;
  for await (const { oid } of repository.log(Number.POSITIVE_INFINITY, head)) {
    kept++;
    oldest = oid;
  }
  let dropped = 0;
  for (let [lost] = (await repository.commit(oldest)).parents; lost !== undefined; dropped++) {
    if (dropped > kept * part) return true;
    if (!(await repository.has(lost))) return false;
    [lost] = (await repository.commit(lost)).parents;
  }
  return dropped > kept * part;
}
