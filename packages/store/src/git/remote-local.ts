/** A repository in a folder: on a disk that others reach too, or one that is carried to them. */
import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { orMissing } from "../log/folder.ts";
import type { Oid } from "./object.ts";
import { aheadOf, gather } from "./outgoing.ts";
import { PackBuilder } from "./pack-builder.ts";
import { isLeftOver } from "./pack-format.ts";
import { Repository } from "./repository.ts";
import { Refused } from "./smart-http.ts";
import { Diverged, making, type Sent, type Transfer } from "./transfer.ts";

/** No push takes so long. */
const oldMs = 86_400_000;

/** Rejects with {@link Diverged}, {@link Refused}, BranchMoved, or what the file system says. */
export async function pushLocal(
  repository: Repository,
  dir: string,
  head: Oid,
  force: boolean,
  transfer: Transfer,
): Promise<Sent> {
  const other = await openOrMake(dir);
  const theirs = await other.head();
  if (theirs === head) return { pushed: head, objects: 0, bytes: 0 };
  const known = new Set<Oid>();
  if (theirs !== null) {
    known.add(theirs);
    // where it goes on from its newest commit, nothing else of its history needs to be read
    const onward = await aheadOf(repository, head, (oid) => oid === theirs);
    if (onward.common === null && !force) throw new Diverged(dir, theirs);
    if (onward.common === null) for await (const { oid } of other.log(Number.POSITIVE_INFINITY)) known.add(oid);
  }
  const ahead = await aheadOf(repository, head, (oid) => known.has(oid));
  const builder = new PackBuilder(other.packFolder, making("push"), 0);
  let made;
  try {
    await gather(repository, ahead, builder, transfer);
    made = await builder.finish(transfer.steps);
  } catch (error) {
    await builder.discard().catch(() => undefined);
    throw error;
  }
  if (ahead.cut !== null) await other.setBoundary([...(await other.boundary()), ahead.cut]);
  await other.moveHead(theirs, head);
  return { pushed: head, objects: made?.objects ?? 0, bytes: made?.bytes ?? 0 };
}

/** For reading, where it is: nothing is written. Rejects with {@link Refused}. */
export async function openLocal(dir: string): Promise<Repository> {
  for (const each of [dir, join(dir, ".git")]) if (await isRepository(each)) return Repository.open(each);
  throw new Refused(`${dir} is no git repository`);
}

async function openOrMake(dir: string): Promise<Repository> {
  const names = await readdir(dir).catch(orMissing);
  if (names === undefined || names.length === 0) return Repository.create(dir);
  if (await isRepository(dir)) {
    await removeOld(join(dir, "objects/pack"));
    return Repository.open(dir);
  }
  if (names.includes(".git"))
    throw new Refused(`${dir} is a working copy: backups go to a bare repository, or to an empty folder`);
  throw new Refused(`${dir} is no git repository, and not empty`);
}

/** What pushes have left that were killed long ago; others may be at work. */
async function removeOld(packs: string): Promise<void> {
  for (const name of (await readdir(packs).catch(orMissing)) ?? []) {
    if (!isLeftOver(name)) continue;
    const found = await stat(join(packs, name)).catch(orMissing);
    if (found !== undefined && Date.now() - found.mtimeMs > oldMs) await rm(join(packs, name), { force: true });
  }
}

/** Rejects with {@link Refused} on one that we can neither read nor write. */
async function isRepository(dir: string): Promise<boolean> {
  const names = (await readdir(dir).catch(orMissing)) ?? [];
  if (!["HEAD", "objects", "refs"].every((name) => names.includes(name))) return false;
  const config = (await readFile(join(dir, "config"), "utf8").catch(orMissing)) ?? "";
  if (/^\s*objectformat\s*=\s*(?!sha1\b)/im.test(config))
    throw new Refused(`${dir} names its objects by other hashes than SHA-1`);
  return true;
}
