/** What another repository lacks of ours, as one pack for it. */
import { deflated } from "./compress.ts";
import type { Oid } from "./object.ts";
import { OidTable } from "./oid-table.ts";
import type { PackBuilder } from "./pack-builder.ts";
import type { PackFile } from "./pack-file.ts";
import type { PackIndex } from "./pack-index.ts";
import { PackSource } from "./pack-source.ts";
import { kindCodes } from "./pack-format.ts";
import { Repack } from "./repack.ts";
import type { Repository } from "./repository.ts";
import type { Steps } from "./steps.ts";
import type { Transfer } from "./transfer.ts";
import { added } from "./tree-diff.ts";

const level = 6;
/** Packs become one once in many backups. */
const openTries = 3;
/** The clock is looked at after so many objects that cost next to nothing. */
const lookEvery = 2_048;

/** How our newest commit stands to what another repository has. */
export interface Ahead {
  /** Our newest commit that the other one has too, null when there is none. */
  readonly common: Oid | null;
  /** The commits that it lacks, newest first. */
  readonly commits: readonly Oid[];
  /** Where the history that we have ends before that, cut off; null when it does not. */
  readonly cut: Oid | null;
}

/** `theirs`: whether the other one has a commit, and so all that it needs. */
export async function aheadOf(repository: Repository, head: Oid, theirs: (oid: Oid) => boolean): Promise<Ahead> {
  const commits: Oid[] = [];
  const boundary = await repository.boundary();
  for await (const { oid, commit } of repository.log(Number.POSITIVE_INFINITY, head)) {
    if (theirs(oid)) return { common: oid, commits, cut: null };
    commits.push(oid);
    if (!boundary.has(oid)) continue;
    const [parent] = commit.parents;
    return parent !== undefined && theirs(parent) ? { common: parent, commits, cut: null } : { common: null, commits, cut: oid };
  }
  return { common: null, commits, cut: null };
}

/** Brings the objects of those commits that are not in what the other one has into the pack. */
export async function gather(
  repository: Repository,
  ahead: Ahead,
  builder: PackBuilder,
  { steps, onProgress }: Transfer,
): Promise<void> {
  const names = await namesOf(repository, ahead, steps);
  const sources: PackSource[] = [];
  try {
    await openHolding(repository, names, sources, steps);
    const wanted = (name: Uint8Array): boolean => names.find(name) >= 0;
    const repack = await Repack.over({ repository, sources, builder, steps, wanted });
    for (const source of sources) {
      await repack.copyAll(source);
      onProgress({ phase: "gathering", done: builder.size, of: names.size });
    }
  } finally {
    for (const source of sources) await source.close();
  }
  // what lies loose, as git leaves it
  for (let i = 0; i < names.size; i++) {
    const name = names.nameAt(i);
    if (builder.find(name) >= 0) continue;
    const { kind, bytes } = await repository.read(name.toString("hex"));
    builder.put(name, kindCodes[kind], bytes.length, deflated(bytes, level));
    if (builder.full) await builder.flush();
  }
}

/** Opens the packs that hold any of these, the largest last. */
async function openHolding(repository: Repository, names: OidTable, sources: PackSource[], steps: Steps): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      for (const pack of repository.packFiles.toSorted((a, b) => a.bytes - b.bytes))
        if (await holdsAny(pack.index, names, steps)) sources.push(await PackSource.open(repository.packFolder, pack, steps));
      return;
    } catch (error) {
      // packs have become one meanwhile; those that are open can be read as long as they are
      if (tries === openTries || (error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      for (const source of sources.splice(0)) await source.close();
      await repository.refresh();
    }
  }
}

async function holdsAny(index: PackIndex, names: OidTable, steps: Steps): Promise<boolean> {
  const fewer = index.count < names.size;
  for (let i = 0; i < (fewer ? index.count : names.size); i++) {
    const there = fewer ? names.find(index.nameAt(i)) >= 0 : index.find(names.nameAt(i).toString("hex")) !== null;
    if (there) return true;
    if (i % lookEvery === 0 && steps.due) await steps.rest();
  }
  return false;
}

async function namesOf(repository: Repository, ahead: Ahead, steps: Steps): Promise<OidTable> {
  const packs = repository.packFiles;
  const packed = (oid: Oid): boolean => packs.some(({ index }) => index.find(oid) !== null);
  const all = ahead.common === null && ahead.cut === null && ahead.commits.every(packed);
  return all ? namesIn(packs, steps) : namesReached(repository, ahead, steps);
}

/** Everything: to look which of it the other one needs would cost more than to send what it does not. */
async function namesIn(packs: readonly PackFile[], steps: Steps): Promise<OidTable> {
  const names = new OidTable(packs.reduce((sum, { index }) => sum + index.count, 0));
  for (const { index } of packs) {
    for (let i = 0; i < index.count; i++) {
      names.add(index.nameAt(i));
      if (i % lookEvery === 0 && steps.due) await steps.rest();
    }
  }
  return names;
}

async function namesReached(repository: Repository, { commits }: Ahead, steps: Steps): Promise<OidTable> {
  const names = new OidTable();
  const seen = (oid: Oid): boolean => {
    const { size } = names;
    return names.add(Buffer.from(oid, "hex")) < size;
  };
  const boundary = await repository.boundary();
  for (const oid of commits) {
    seen(oid);
    const { tree, parents } = await repository.commit(oid);
    const [parent] = boundary.has(oid) ? [] : parents;
    const older = parent === undefined ? null : (await repository.commit(parent)).tree;
    for await (const _ of added((each) => repository.read(each), older, tree, seen)) if (steps.due) await steps.rest();
  }
  return names;
}
