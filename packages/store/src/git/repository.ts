/**
 * A bare git repository with one branch, as a backup is kept in: made, read and written without git's binary, and sound to it. One writer;
 * any git may read it meanwhile, or pack it anew.
 *
 * What is durable when: a pack and its index before anything names them, a branch by one rename. A writer that is killed leaves files
 * that nothing names, which the next one removes.
 */
import { inflateSync } from "node:zlib";
import { type FileFolder, replaceFile, wholeFile } from "../file-folder.ts";
import { folderTree, type FolderTree } from "../folder-tree.ts";
import { orMissing } from "../log/folder.ts";
import { type Commit, type GitObject, ObjectDamaged, type ObjectKind, oidOf, type Oid, parseCommit } from "./object.ts";
import { packIsWhole } from "./pack-check.ts";
import { PackBlocks } from "./pack-blocks.ts";
import { PackFile } from "./pack-file.ts";
import { isLeftOver } from "./pack-format.ts";
import type { Steps } from "./steps.ts";

export const branch = "refs/heads/main";
const [headsFolder, branchFile] = ["refs/heads", "main"];
const lockFile = `${branchFile}.lock`;
const packsFolder = "objects/pack";
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n";
const oidPattern = /^[0-9a-f]{40}$/;
/** The fewest digits that name a commit. */
const shortest = 4;
/** Packs are replaced once in minutes. */
const refreshTries = 5;

/** The branch is not where the writer thought: somebody else has written. */
export class BranchMoved extends Error {
  override readonly name = "BranchMoved";
}

/** There is no such commit, or more than one whose name begins so. */
export class NoSuchCommit extends Error {
  override readonly name = "NoSuchCommit";
}

export class Repository {
  readonly dir: string;
  private readonly tree: FolderTree;
  private readonly folder: FileFolder;
  private readonly blocks = new PackBlocks();
  private packs: PackFile[] = [];
  /** Packs that cannot be read, and why. */
  private broken = new Map<string, string>();

  private constructor(dir: string, tree: FolderTree) {
    this.dir = dir;
    this.tree = tree;
    this.folder = tree.folder(packsFolder);
  }

  /**
   * Makes an empty one if there is none. What a killed writer left is removed: nobody else may be writing. `tree`: where the files of
   * `dir` are, if not there.
   */
  static async create(dir: string, tree: FolderTree = folderTree(dir)): Promise<Repository> {
    for (const each of ["objects/info", packsFolder, headsFolder, "refs/tags"]) await tree.make(each);
    const root = tree.folder("");
    const there = new Set(await root.list());
    if (!there.has("config")) await replaceFile(root, "config", config);
    if (!there.has("HEAD")) await replaceFile(root, "HEAD", `ref: ${branch}\n`);
    await tree.folder(headsFolder).remove(lockFile);
    const folder = tree.folder(packsFolder);
    for (const name of await folder.list()) if (isLeftOver(name)) await folder.remove(name);
    return Repository.over(dir, tree);
  }

  /** Opens one for reading, and writes nothing. Rejects with ENOENT where there is none. */
  static async open(dir: string, tree: FolderTree = folderTree(dir)): Promise<Repository> {
    await wholeFile(tree.folder(""), "HEAD");
    return Repository.over(dir, tree);
  }

  private static async over(dir: string, tree: FolderTree): Promise<Repository> {
    const repository = new Repository(dir, tree);
    await repository.refresh();
    return repository;
  }

  /** Looks for packs that came or went. */
  async refresh(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const broken = new Map<string, string>();
      const opened = (await this.packNames()).map((name) => this.openPack(name, broken));
      // one that was in the list may be gone: whoever packs anew removes the old ones
      const found = await Promise.all(opened).catch(orMissing);
      if (found !== undefined) {
        this.packs = found.filter((pack) => pack !== null);
        this.broken = broken;
        return;
      }
      if (tries === refreshTries) throw new Error(`packs of ${this.dir} go faster than they can be opened`);
    }
  }

  /** Lets go of what was read of packs: it takes memory, and says nothing of how they are on disk by now. */
  forgetBlocks(): void {
    this.blocks.forget();
  }

  /** Those that {@link refresh} found last. */
  get packFiles(): readonly PackFile[] {
    return this.packs;
  }

  /** Where the packs are. */
  get packFolder(): FileFolder {
    return this.folder;
  }

  /** Takes packs away, from everybody. What is in them has to be in others, or not needed: readers look for it there. */
  async removePacks(names: readonly string[]): Promise<void> {
    this.packs = this.packs.filter(({ name }) => !names.includes(name));
    // index first: a pack without one is none
    for (const name of names) await this.folder.remove(`${name}.idx`);
    await this.folder.sync();
    for (const name of names) await this.folder.remove(`${name}.pack`);
    await this.folder.sync();
  }

  /** Packs without an index, by their names: what a process left that was killed as it named one, or was about to take it away. */
  async lonePacks(): Promise<readonly string[]> {
    const names = new Set(await this.folder.list());
    return [...names].flatMap((name) =>
      name.endsWith(".pack") && !names.has(`${name.slice(0, -5)}.idx`) ? [name.slice(0, -5)] : [],
    );
  }

  /** Whether there are branches or tags beside ours, which somebody else has put there. */
  async hasOtherRefs(): Promise<boolean> {
    const names = async (path: string): Promise<readonly string[]> =>
      (await this.tree.folder(path).list().catch(orMissing)) ?? [];
    const packed = ((await this.text("", "packed-refs")) ?? "").split("\n").filter((line) => /^[0-9a-f]{40} /.test(line));
    return (
      (await names("refs")).some((name) => name !== "heads" && name !== "tags") ||
      (await names(headsFolder)).some((name) => name !== branchFile && name !== lockFile) ||
      (await names("refs/tags")).length > 0 ||
      packed.some((line) => !line.endsWith(` ${branch}`))
    );
  }

  /** The commits whose parents were cut off. */
  async boundary(): Promise<ReadonlySet<Oid>> {
    return new Set(((await this.text("", "shallow")) ?? "").split("\n").filter((line) => line !== ""));
  }

  /** Cuts the parents of these commits off, and of no others. */
  async setBoundary(oids: readonly Oid[]): Promise<void> {
    await replaceFile(this.tree.folder(""), "shallow", oids.map((oid) => `${oid}\n`).join(""));
  }

  /** Files of packs, as names in objects/pack, that are not what was written. */
  async brokenPacks(steps: Steps): Promise<readonly { readonly name: string; readonly why: string }[]> {
    await this.refresh();
    const found = [...this.broken].map(([name, why]) => ({ name, why }));
    for (const { name } of this.packs) {
      const whole = await packIsWhole(this.folder, `${name}.pack`, steps);
      if (!whole) found.push({ name: `${name}.pack`, why: "it is not what was written: its hash is another" });
    }
    return found;
  }

  /** The newest commit, null in an empty repository. */
  async head(): Promise<Oid | null> {
    const loose = await this.text(headsFolder, branchFile);
    if (loose !== undefined) return oidIn(loose.trim(), branch);
    const packed = (await this.text("", "packed-refs")) ?? "";
    const line = packed.split("\n").find((each) => each.endsWith(` ${branch}`));
    return line === undefined ? null : oidIn(line.slice(0, line.indexOf(" ")), "packed-refs");
  }

  /** Rejects with {@link ObjectDamaged} when it is altered or not there. */
  async read(oid: Oid): Promise<GitObject> {
    // a pack that was open may be gone: git has packed anew
    const found = (await this.find(oid).catch(orMissing)) ?? (await this.findAnew(oid));
    if (found !== null) return found;
    const broken = [...this.broken.keys()].join(", ");
    throw new ObjectDamaged(`object ${oid} is missing${broken === "" ? "" : `, or in what cannot be read: ${broken}`}`);
  }

  /** Whether it is there, by what {@link refresh} found last; not whether it is sound. */
  async has(oid: Oid): Promise<boolean> {
    if (this.packs.some(({ index }) => index.find(oid) !== null)) return true;
    const loose = await this.tree
      .folder(`objects/${oid.slice(0, 2)}`)
      .list()
      .catch(orMissing);
    return loose?.includes(oid.slice(2)) ?? false;
  }

  async commit(oid: Oid): Promise<Commit> {
    return parseCommit(await this.read(oid));
  }

  /** The commits from `from` (the newest if left out) back along first parents, at most `limit`; ends where the history was cut. */
  async *log(limit: number, from?: Oid): AsyncIterable<{ readonly oid: Oid; readonly commit: Commit }> {
    const cut = await this.boundary();
    let oid = from ?? (await this.head());
    for (let count = 0; oid !== null && count < limit; count++) {
      const commit: Commit = await this.commit(oid);
      yield { oid, commit };
      oid = cut.has(oid) ? null : (commit.parents[0] ?? null);
    }
  }

  /** The commit that a person names by its first digits, `HEAD` or `main`. Rejects with {@link NoSuchCommit}. */
  async resolve(name: string): Promise<Oid> {
    const newest = await this.head();
    if (name === "HEAD" || name === "main") {
      if (newest === null) throw new NoSuchCommit("the repository has no commit yet");
      return newest;
    }
    const wanted = name.toLowerCase();
    if (!/^[0-9a-f]+$/.test(wanted) || wanted.length < shortest || wanted.length > 40)
      throw new NoSuchCommit(`${name} is no commit: give ${shortest} to 40 hex digits of its name`);
    const found: Oid[] = [];
    for await (const { oid } of this.log(Number.POSITIVE_INFINITY)) if (oid.startsWith(wanted)) found.push(oid);
    const [only] = found;
    if (only === undefined) throw new NoSuchCommit(`there is no commit ${name} in ${this.dir}`);
    if (found.length > 1) throw new NoSuchCommit(`${name} is the beginning of ${found.length} commits: give more digits`);
    return only;
  }

  /** Moves the branch from `from` (null: there is none) to `to`, or rejects with {@link BranchMoved} and moves nothing. */
  async moveHead(from: Oid | null, to: Oid): Promise<void> {
    await this.refresh();
    const heads = this.tree.folder(headsFolder);
    const lock = await heads.open(lockFile, "create").catch((cause: NodeJS.ErrnoException) => {
      const why = `${headsFolder}/${lockFile} of ${this.dir} is there: somebody else is writing`;
      throw cause.code === "EEXIST" ? new BranchMoved(why, { cause }) : cause;
    });
    try {
      const now = await this.head();
      if (now !== from)
        throw new BranchMoved(`${branch} of ${this.dir} is at ${now ?? "nothing"} and not at ${from ?? "nothing"}`);
      await lock.write(Buffer.from(`${to}\n`));
      await lock.sync();
      await heads.rename(lockFile, branchFile);
      await heads.sync();
    } catch (error) {
      await heads.remove(lockFile).catch(() => undefined);
      throw error;
    } finally {
      await lock.close();
    }
  }

  private async packNames(): Promise<string[]> {
    const names = new Set(await this.folder.list().catch(orMissing));
    return [...names].flatMap((name) => (name.endsWith(".idx") && names.has(packOf(name)) ? [name.slice(0, -4)] : []));
  }

  /** Undefined where there is no such file. */
  private async text(path: string, name: string): Promise<string | undefined> {
    return (await wholeFile(this.tree.folder(path), name).catch(orMissing))?.toString();
  }

  /** Null for one that is damaged: what is not in it can still be read. */
  private async openPack(name: string, broken: Map<string, string>): Promise<PackFile | null> {
    const known = this.packs.find((pack) => pack.name === name);
    if (known !== undefined) return known;
    try {
      return await PackFile.open(this.folder, name, this.blocks);
    } catch (error) {
      if (!(error instanceof ObjectDamaged)) throw error;
      broken.set(name, error.message);
      return null;
    }
  }

  private async find(oid: Oid): Promise<GitObject | null> {
    for (const pack of this.packs) {
      const object = await pack.read(oid, (base) => this.find(base));
      if (object !== null) return object;
    }
    return this.findLoose(oid);
  }

  /** After git packed anew, or another process wrote. */
  private async findAnew(oid: Oid): Promise<GitObject | null> {
    for (let tries = 1; ; tries++) {
      await this.refresh();
      try {
        return await this.find(oid);
      } catch (error) {
        // gone again, between the two lines above
        if (tries === refreshTries || !isMissing(error)) throw error;
      }
    }
  }

  private async findLoose(oid: Oid): Promise<GitObject | null> {
    const file = await wholeFile(this.tree.folder(`objects/${oid.slice(0, 2)}`), oid.slice(2)).catch(orMissing);
    if (file === undefined) return null;
    const object = parseLoose(file, oid);
    if (oidOf(object) !== oid) throw new ObjectDamaged(`object ${oid} is altered`);
    return object;
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

const packOf = (index: string): string => `${index.slice(0, -4)}.pack`;

function oidIn(text: string, where: string): Oid {
  if (!oidPattern.test(text)) throw new ObjectDamaged(`${where} names no commit: ${text.slice(0, 60)}`);
  return text;
}

function parseLoose(file: Buffer, oid: Oid): GitObject {
  let bytes: Buffer;
  try {
    bytes = inflateSync(file);
  } catch (cause) {
    throw new ObjectDamaged(`object ${oid} cannot be unpacked`, { cause });
  }
  const head = /^(commit|tree|blob|tag) (\d+)$/.exec(bytes.toString("latin1", 0, Math.max(0, bytes.indexOf(0))));
  if (head === null) throw new ObjectDamaged(`object ${oid} is of no kind that git knows`);
  const content = bytes.subarray(head[0].length + 1);
  if (content.length !== Number(head[2])) throw new ObjectDamaged(`object ${oid} has another length than it says`);
  return { kind: head[1] as ObjectKind, bytes: content };
}
