/**
 * The world as it was at any moment that can still be had: the rows of the newest backup at or before it, and after them the log's entries;
 * or the log alone, while it is held from its first entry on.
 */
import { manifestPath, type Manifest } from "@aether/core/backup/manifest";
import { BackupFault } from "@aether/core/backup/thing-files";
import { theCluster } from "@aether/core/cluster/state";
import type { Registry } from "@aether/core/kernel/registry";
import type { World } from "@aether/core/kernel/world";
import { entriesOf, ObjectDamaged, type Oid } from "../git/object.ts";
import { Steps } from "../git/steps.ts";
import { noPace, type Pace } from "../pace.ts";
import type { EventStore } from "../types.ts";
import type { BackupReader } from "./backup-reader.ts";
import { wantedOf } from "./reading.ts";
import { ScratchWorld, TooLittle } from "./scratch-world.ts";
import type { ListedBackup } from "./types.ts";

export interface MomentParts {
  readonly registry: Registry;
  readonly store: Pick<EventStore, "world" | "applied" | "stats" | "entries" | "auditRange" | "auditHead">;
  /** Null where there is no repository. */
  readonly reader: BackupReader | null;
  /** Between steps of a few milliseconds; no rest if left out. */
  readonly pace?: Pace;
}

export interface IndexRange {
  readonly from: number;
  readonly to: number;
}

export type MomentFound =
  | {
      readonly ok: true;
      /** Of nouns that are in no backup it has what the log after {@link base} tells, and nothing from before. */
      readonly world: World;
      readonly index: number;
      /** Unix milliseconds, of the last entry that says a time. */
      readonly at: number;
      /** The backup that it was made from; null for the log alone. */
      readonly base: Oid | null;
    }
  | {
      readonly ok: false;
      readonly why: string;
      /** Moments that can be had as far as is known without trying, ascending. */
      readonly ranges: readonly IndexRange[];
    };

const pageEntries = 1_000;
/** So many backups are tried when one after the other cannot be used. */
const basesMax = 8;
/** Of single moments, each of a backup after which the log is not held any more. */
const singlesMax = 50;

/** This backup cannot be gone on from. */
class Unfit extends Error {
  override readonly name = "Unfit";
}

/** Rejects only with what the file system or the store says. */
export async function worldAt(parts: MomentParts, index: number): Promise<MomentFound> {
  const { store } = parts;
  const { applied } = store;
  if (!Number.isSafeInteger(index) || index < 1 || index > applied)
    return { ok: false, why: `the log goes from index 1 to ${applied}, and has no ${index}`, ranges: await rangesOf(parts) };
  const reasons: string[] = [];
  for (const base of await basesFor(parts, index)) {
    try {
      return await fromBackup(parts, base, index);
    } catch (error) {
      const known = [Unfit, TooLittle, BackupFault, ObjectDamaged].some((each) => error instanceof each);
      if (!known) throw error;
      reasons.push(`backup ${base.slice(0, 12)}: ${(error as Error).message}`);
    }
  }
  if (store.stats().first <= 1) {
    const world = new ScratchWorld(parts.registry, true);
    try {
      return { ok: true, world, index, at: await replay(parts, world, 0, index, 0), base: null };
    } catch (error) {
      if (!(error instanceof Unfit)) throw error;
      reasons.push(error.message);
    }
  }
  const why = `no backup and no log leads to index ${index}`;
  return { ok: false, why: [why, ...reasons].join("; "), ranges: await rangesOf(parts) };
}

/**
 * Index of the last event at or before a time (Unix milliseconds); null when that is before all that the log still holds. The times of
 * events never go back; entries of consensus have none (0), and change nothing that could be restored.
 */
export async function indexAt(store: Pick<EventStore, "applied" | "stats" | "entries">, time: number): Promise<number | null> {
  let low = store.stats().first;
  let high = store.applied;
  let found: number | null = null;
  while (low <= high) {
    const middle = Math.floor((low + high) / 2);
    const timed = await timedFrom(store, middle, high);
    if (timed === null) high = middle - 1;
    else if ("first" in timed) low = Math.max(timed.first, middle + 1);
    else if (timed.at <= time) {
      found = timed.index;
      low = timed.index + 1;
    } else high = middle - 1;
  }
  return found;
}

const timedPage = 16;

/** The first entry from `from` to `to` that has a time; where the log begins when it begins later; null when there is none. */
async function timedFrom(store: Pick<EventStore, "entries">, from: number, to: number) {
  for (let at = from; at <= to;) {
    const page = await store.entries(at, Math.min(timedPage, to - at + 1));
    if ("compacted" in page) return { first: page.first };
    const timed = page.entries.find((entry) => entry.at !== 0);
    if (timed !== undefined) return timed.index <= to ? timed : null;
    const last = page.entries.at(-1);
    if (last === undefined) return null;
    at = last.index + 1;
  }
  return null;
}

/** Commits at or before the index from which the log is held, or that are of just that index, newest first. */
async function basesFor({ reader, store }: MomentParts, index: number): Promise<readonly Oid[]> {
  const found: Oid[] = [];
  const { first } = store.stats();
  for await (const backup of listed(reader)) {
    if (backup.index > index) continue;
    if (backup.index + 1 < first && backup.index !== index) break;
    if (found.push(backup.commit) === basesMax) break;
  }
  return found;
}

/** The backups, newest first, as far back as the history can be read. */
async function* listed(reader: BackupReader | null): AsyncIterable<ListedBackup> {
  if (reader === null || (await reader.repository.head()) === null) return;
  try {
    yield* reader.list(Number.POSITIVE_INFINITY);
  } catch (error) {
    if (!(error instanceof ObjectDamaged)) throw error;
  }
}

async function fromBackup(parts: MomentParts, base: Oid, index: number): Promise<MomentFound & { readonly ok: true }> {
  const { registry, pace = noPace } = parts;
  const reader = parts.reader as BackupReader;
  const manifest = await reader.manifest(base);
  if (manifest.index > index) throw new Unfit(`its ${manifestPath} says index ${manifest.index}`);
  await expectOwn(parts, manifest);
  const { tree } = await reader.repository.commit(base);
  if (wantedOf(entriesOf(await reader.repository.read(tree))) !== manifest.wanted)
    throw new Unfit(`what it holds is not what its ${manifestPath} says`);
  const world = new ScratchWorld(registry, false);
  const steps = new Steps(pace);
  for await (const { noun, stored } of reader.rows(base)) {
    world.put(noun, stored);
    if (steps.due) await steps.rest();
  }
  for (const [noun, count] of Object.entries(manifest.counts))
    if (registry.noun(noun) === undefined || world.count(noun) !== count)
      throw new Unfit(`it holds not the ${count} rows of noun ${noun} that its ${manifestPath} says`);
  return { ok: true, world, index, at: await replay(parts, world, manifest.index, index, manifest.at), base };
}

/** A backup of another log has other entries after its index, though the numbers may fit: throws {@link Unfit}. */
async function expectOwn({ store }: MomentParts, { index, chain, cluster }: Manifest): Promise<void> {
  const head = store.auditHead();
  const range = head.index === index ? { before: head.chain } : await store.auditRange(index + 1, 1);
  if (!("compacted" in range)) {
    if (range.before !== chain) throw new Unfit(`its audit digest is not the log's at index ${index}: it is of another cluster`);
    return;
  }
  const own = theCluster(store.world)?.row;
  const before = own?.recoveries?.some(({ clusterId, upTo }) => clusterId === cluster.id && index <= upTo);
  if (own?.clusterId !== cluster.id && before !== true) throw new Unfit(`it is of cluster ${cluster.id}`);
}

/** Applies entries after `from` up to `to`. Gives the time of the last, `at` when there is none. Rejects with {@link Unfit}. */
async function replay(parts: MomentParts, world: ScratchWorld, from: number, to: number, at: number): Promise<number> {
  const { store, registry, pace = noPace } = parts;
  const steps = new Steps(pace);
  let last = at;
  for (let next = from + 1; next <= to;) {
    const page = await store.entries(next, Math.min(pageEntries, to + 1 - next));
    if ("compacted" in page || page.entries.length === 0) throw new Unfit(`the log is not held from index ${next} on any more`);
    for (const entry of page.entries) {
      const events = entry.events.map((event) => registry.upcast(event));
      world.apply(events, { index: entry.index, at: entry.at, actor: entry.actor });
      last = entry.at;
      if (steps.due) await steps.rest();
    }
    ({ next } = page);
  }
  return last;
}

async function rangesOf({ reader, store }: MomentParts): Promise<readonly IndexRange[]> {
  const { applied } = store;
  const { first } = store.stats();
  const singles = new Map<number, IndexRange>();
  let from = first <= 1 ? 1 : null;
  for await (const { index } of listed(reader)) {
    if (index > applied) continue;
    if (index + 1 >= first) from = Math.min(from ?? index, index);
    else if (singles.set(index, { from: index, to: index }).size === singlesMax) break;
  }
  return [...[...singles.values()].toReversed(), ...(from === null ? [] : [{ from, to: applied }])];
}
