/**
 * A member's own copy of the backups' repository: where it lies, what it holds as others fetch it, and one hand at a time on it. It is
 * made when it is first used, so that a member whose disk cannot take it is healthy but for its backups.
 */
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { fileFolder, wholeFile, type FileFolder } from "@aether/store/file-folder";
import { Repository } from "@aether/store/git/repository";
import { orMissing } from "@aether/store/log/folder";

export interface RepositoryListing {
  /** The newest commit; null in an empty repository. */
  readonly head: string | null;
  /** Where the history is cut off: the text of git's file `shallow`, "" when it is whole. */
  readonly shallow: string;
  /** Packs and their indexes. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** It is the writer's: what others hold besides is not part of the line any more. */
  readonly writes: boolean;
}

export const packsFolder = "objects/pack";
/** Nothing else of a repository is served or fetched. */
export const packName = /^pack-[0-9a-f]{40}\.(?:pack|idx)$/;
/** Repositories that were moved aside and are kept. */
const asideMax = 2;

export class RepositoryHome {
  readonly dir: string;
  #opened: Promise<Repository> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  constructor(dir: string) {
    this.dir = dir;
  }

  get packs(): FileFolder {
    return fileFolder(join(this.dir, packsFolder));
  }

  /** Made if there is none. Rejects when the disk cannot; the next call tries again. */
  repository(): Promise<Repository> {
    this.#opened ??= Repository.create(this.dir).catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    return this.#opened;
  }

  async head(): Promise<string | null> {
    return (await this.repository()).head();
  }

  /** One after the other: whoever changes the repository does it in here. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#last.then(work, work);
    this.#last = next.catch(() => undefined);
    return next;
  }

  /** The head is read before the packs are: what is listed holds it, unless packs are just being made one. */
  async listing(writes: boolean): Promise<RepositoryListing> {
    const head = await this.head();
    const shallow = (await wholeFile(fileFolder(this.dir), "shallow").catch(orMissing))?.toString() ?? "";
    const { packs } = this;
    const names = (await packs.list()).filter((name) => packName.test(name)).toSorted();
    const files = await Promise.all(names.map(async (name) => ({ name, bytes: await sizeOf(packs, name) })));
    return { head, shallow, files: files.flatMap(({ name, bytes }) => (bytes === null ? [] : [{ name, bytes }])), writes };
  }

  /** Begins an empty repository; the old one is kept beside it, and older ones of these are removed. Call in {@link exclusive}. */
  async moveAside(): Promise<string> {
    const [folder, name] = [dirname(this.dir), basename(this.dir)];
    const aside = new RegExp(`^${name.replaceAll(".", "\\.")}\\.aside-(\\d+)$`);
    const numbers = (await readdir(folder)).flatMap((each) => aside.exec(each)?.[1] ?? []).map(Number);
    const kept = numbers.toSorted((a, b) => b - a);
    for (const old of kept.slice(asideMax - 1)) await rm(join(folder, `${name}.aside-${old}`), { recursive: true, force: true });
    const to = join(folder, `${name}.aside-${(kept[0] ?? 0) + 1}`);
    this.#opened = null;
    await rename(this.dir, to);
    return to;
  }
}

/** Null when it is gone: packs were made one meanwhile. */
async function sizeOf(folder: FileFolder, name: string): Promise<number | null> {
  const file = await folder.open(name, "read").catch(orMissing);
  if (file === undefined) return null;
  try {
    return await file.size();
  } finally {
    await file.close();
  }
}
