/**
 * Makes a member's repository what another one's is: packs that it has not are fetched and summed, then the branch is moved, then packs
 * that the other has no longer go. Broken off anywhere, it is the repository that it was, with packs that nothing needs yet.
 */
import { createHash } from "node:crypto";
import { fileFolder, replaceFile, withFile, type FileFolder, type OpenFile } from "@aether/store/file-folder";
import { ObjectDamaged } from "@aether/store/git/object";
import { PackIndex } from "@aether/store/git/pack-index";
import type { Repository } from "@aether/store/git/repository";
import { packName, type RepositoryHome, type RepositoryListing } from "./repository-home.ts";

/** Another member's repository. Both reject when it does not answer or breaks off. */
export interface MirrorSource {
  listing(): Promise<RepositoryListing>;
  read(name: string): AsyncIterable<Uint8Array>;
}

export interface Mirrored {
  readonly head: string | null;
  /** Bytes that were fetched. */
  readonly bytes: number;
  /** Where a repository of another line was moved; null when this one only grew. */
  readonly aside: string | null;
}

/** What was fetched is not what it should be. */
export class MirrorFault extends Error {
  override readonly name = "MirrorFault";
}

export const filesMax = 4_096;
export const fileBytesMax = 64 * 1024 * 1024 * 1024;
const sumBytes = 20;
const incoming = "making-mirror";

/**
 * `listing`: as the source gave it. A repository whose newest commit is not in the source's line is moved aside and kept, unless only that
 * one commit is: a writer that was deposed had just written it. So is one that cannot be read. Call in the home's `exclusive`. Rejects with
 * {@link MirrorFault}, and with the disk's errors.
 */
export async function mirror(home: RepositoryHome, source: MirrorSource, listing: RepositoryListing): Promise<Mirrored> {
  checkListing(listing);
  const own = await ownHead(home);
  const { head } = listing;
  if (head === null) return { head: own === damaged ? null : own, bytes: 0, aside: null };
  if (own === damaged) return mirrorAnew(home, source, listing);
  const bytes = await fetchMissing(home.packs, source, listing);
  const repository = await home.repository();
  const lost = await checkFetched(repository, own, head);
  if (lost) {
    const anew = await mirrorAnew(home, source, listing);
    return { ...anew, bytes: bytes + anew.bytes };
  }
  if (listing.shallow !== "") await replaceFile(fileFolder(home.dir), "shallow", listing.shallow);
  if (own !== head) await repository.moveHead(own, head);
  await removeOthers(home.packs, listing);
  await repository.refresh();
  return { head, bytes, aside: null };
}

async function mirrorAnew(home: RepositoryHome, source: MirrorSource, listing: RepositoryListing): Promise<Mirrored> {
  const aside = await home.moveAside();
  return { ...(await mirror(home, source, listing)), aside };
}

const damaged = Symbol("damaged");

async function ownHead(home: RepositoryHome): Promise<string | null | typeof damaged> {
  try {
    const repository = await home.repository();
    const own = await repository.head();
    if (own !== null) await repository.commit(own);
    return own;
  } catch (error) {
    if (error instanceof ObjectDamaged) return damaged;
    throw error;
  }
}

/** Whether what this member has would be lost. What cannot be read now has come so. */
async function checkFetched(repository: Repository, own: string | null, head: string): Promise<boolean> {
  try {
    await repository.refresh();
    await repository.commit(head);
    return own !== null && own !== head && !(await continues(repository, own, head));
  } catch (error) {
    if (error instanceof ObjectDamaged)
      throw new MirrorFault(`the other repository is damaged: ${error.message}`, { cause: error });
    throw error;
  }
}

function checkListing({ head, files, shallow }: RepositoryListing): void {
  if (head !== null && !/^[0-9a-f]{40}$/.test(head)) throw new MirrorFault("the other repository's head is no commit");
  if (files.length > filesMax)
    throw new MirrorFault(`the other repository has ${files.length} files, at most ${filesMax} are taken`);
  if (!/^(?:[0-9a-f]{40}\n)*$/.test(shallow))
    throw new MirrorFault("where the other repository's history is cut off is not to be read");
  for (const { name, bytes } of files) {
    if (!packName.test(name)) throw new MirrorFault("the other repository has files that are no packs");
    if (!(bytes > sumBytes && bytes <= fileBytesMax)) throw new MirrorFault(`${name} cannot have ${bytes} bytes`);
  }
}

/** Whole pairs only, each pack before its index: an index makes a pack count. */
async function fetchMissing(folder: FileFolder, source: MirrorSource, { files }: RepositoryListing): Promise<number> {
  const sizes = new Map(files.map(({ name, bytes }) => [name, bytes]));
  const have = new Set(await folder.list());
  let fetched = 0;
  for (const [pack, bytes] of sizes) {
    if (!pack.endsWith(".pack")) continue;
    const index = `${pack.slice(0, -".pack".length)}.idx`;
    const indexBytes = sizes.get(index);
    if (indexBytes === undefined || (have.has(pack) && have.has(index))) continue;
    const sum = await fetchPack(folder, source, pack, bytes);
    await fetchIndex(folder, source, index, indexBytes, sum);
    fetched += bytes + indexBytes;
  }
  return fetched;
}

/** Gives the sum at the pack's end, which is of all before it. */
async function fetchPack(folder: FileFolder, source: MirrorSource, name: string, bytes: number): Promise<Buffer> {
  const sum = createHash("sha1");
  let tail = Buffer.alloc(0);
  await fetchFile(folder, source, name, bytes, (chunk) => {
    const all = Buffer.concat([tail, chunk]);
    const cut = Math.max(0, all.length - sumBytes);
    sum.update(all.subarray(0, cut));
    tail = all.subarray(cut);
  });
  if (!sum.digest().equals(tail)) throw new MirrorFault(`${name} did not come as it was written: its sum differs`);
  await folder.rename(incoming, name);
  await folder.sync();
  return tail;
}

async function fetchIndex(folder: FileFolder, source: MirrorSource, name: string, bytes: number, sum: Buffer): Promise<void> {
  const chunks: Uint8Array[] = [];
  await fetchFile(folder, source, name, bytes, (chunk) => chunks.push(chunk));
  if (!packOf(Buffer.concat(chunks)).equals(sum)) throw new MirrorFault(`${name} is not of its pack`);
  await folder.rename(incoming, name);
  await folder.sync();
}

/** Empty when it is no index. */
function packOf(index: Buffer): Buffer {
  try {
    return new PackIndex(index).pack;
  } catch (error) {
    if (error instanceof ObjectDamaged) return Buffer.alloc(0);
    throw error;
  }
}

async function fetchFile(
  folder: FileFolder,
  source: MirrorSource,
  name: string,
  bytes: number,
  see: (chunk: Uint8Array) => void,
): Promise<void> {
  await withFile(folder, incoming, "write", async (file: OpenFile) => {
    let length = 0;
    for await (const chunk of source.read(name)) {
      length += chunk.length;
      if (length > bytes) throw new MirrorFault(`${name} is longer than the ${bytes} bytes that it should have`);
      see(chunk);
      await file.write(chunk);
    }
    if (length !== bytes) throw new MirrorFault(`${name} ended after ${length} of ${bytes} bytes`);
    await file.sync();
  });
}

/** Whether `head`'s line holds `own`, or the commit before it. */
async function continues(repository: Repository, own: string, head: string): Promise<boolean> {
  const before = (await repository.commit(own)).parents[0] ?? null;
  for await (const { oid } of repository.log(Number.POSITIVE_INFINITY, head)) if (oid === own || oid === before) return true;
  return false;
}

/** Indexes first: a pack without one is none. */
async function removeOthers(folder: FileFolder, { files }: RepositoryListing): Promise<void> {
  const listed = new Set(files.map(({ name }) => name.slice(0, name.lastIndexOf("."))));
  const others = (await folder.list()).filter(
    (name) => /^pack-[0-9a-f]{40}\./.test(name) && !listed.has(name.slice(0, name.lastIndexOf("."))),
  );
  for (const name of others.toSorted((a, b) => Number(b.endsWith(".idx")) - Number(a.endsWith(".idx"))))
    await folder.remove(name);
  if (others.length > 0) await folder.sync();
}
