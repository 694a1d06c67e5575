/**
 * The folders of a commit, read as far as they are asked for, and changed in memory until they are written: only what changed becomes
 * new objects, and nothing else is read, so that a change costs what its path costs, whatever else there is.
 */
import type { ObjectSink } from "./object-pack.ts";
import { oidOf, type Oid, type TreeEntry } from "./object.ts";
import type { Repository } from "./repository.ts";
import type { Steps } from "./steps.ts";
import { TreeBytes } from "./tree-bytes.ts";

interface Folder {
  /** The tree that it is of; null while it has changes that were not written. */
  oid: Oid | null;
  /** Null until it is read. Of a folder in it that has changes the oid is an old one, or zeros. */
  tree: TreeBytes | null;
  /** Those in it that somebody has looked into. */
  readonly folders: Map<string, Folder>;
}

export interface FileEntry {
  /** From the root. */
  readonly path: string;
  readonly oid: Oid;
}

const zeros = "0".repeat(40);

export class Folders {
  private readonly repository: Repository;
  private readonly root: Folder;
  private bytes = 0;

  /** `root`: the tree to begin with; null for none. */
  constructor(repository: Repository, root: Oid | null) {
    this.repository = repository;
    this.root = root === null ? emptyFolder() : { oid: root, tree: null, folders: new Map() };
  }

  /** About so many bytes of memory are taken by what was read and put. */
  get held(): number {
    return this.bytes;
  }

  /** The file at `path`, null when there is none. */
  async file(path: string): Promise<Oid | null> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    const folder = await this.folderAt(names);
    const entry = folder === null ? null : (await this.treeOf(folder)).find(name);
    return entry?.kind === "blob" ? entry.oid : null;
  }

  /** Puts the file there, or takes it away (null), and gives what was there; folders come and go with their files. */
  async put(path: string, oid: Oid | null): Promise<Oid | null> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    const above: Folder[] = [this.root];
    for (const each of names) {
      const inner = await this.inside(above.at(-1) as Folder, each, oid !== null);
      if (inner === null) return null;
      above.push(inner);
    }
    const folder = above.at(-1) as Folder;
    const tree = await this.treeOf(folder);
    const entry = tree.find(name);
    const before = entry?.kind === "blob" ? entry.oid : null;
    if (before === oid) return before;
    if (oid === null) tree.remove(name);
    else {
      folder.folders.delete(name);
      tree.set(name, "blob", oid);
      if (before === null) this.bytes += name.length + entryBytes;
    }
    for (let at = above.length - 1; at >= 0; at--) {
      const changed = above[at] as Folder;
      changed.oid = null;
      if (at === 0 || (changed.tree as TreeBytes).size > 0) continue;
      above[at - 1]?.tree?.remove(names[at - 1] ?? "");
      above[at - 1]?.folders.delete(names[at - 1] ?? "");
    }
    return before;
  }

  /** Every file below `path` ("" for all), in git's order of names in each folder. */
  async *files(path = ""): AsyncIterable<FileEntry> {
    const folder = await this.folderAt(path === "" ? [] : path.split("/"));
    if (folder !== null) yield* this.below(folder, path === "" ? "" : `${path}/`);
  }

  /** Files of these folders that `others` have no file for. Both have to be written: what they have alike is not looked into. */
  async *notIn(others: Folders, steps?: Steps): AsyncIterable<FileEntry> {
    yield* this.difference(this.root, others, others.root, "", steps);
  }

  /** The names at the root with what they are of, as far as they have been written. */
  async top(): Promise<readonly TreeEntry[]> {
    const entries = [...(await this.treeOf(this.root)).entries()];
    if (entries.some(({ kind, name }) => kind === "tree" && this.root.folders.get(name)?.oid === null))
      throw new Error("a folder with changes has no tree yet: write it first");
    return entries;
  }

  /** Adds what changed to the pack, and gives the root's tree. `known`: what these have already needs not be added. */
  write(sink: ObjectSink, steps?: Steps, known?: Folders): Promise<Oid> {
    return this.written(this.root, sink, steps, known?.at(known.root));
  }

  /** The same for all but the root: {@link top} says then what it will be of. */
  async writeFolders(sink: ObjectSink, steps?: Steps, known?: Folders): Promise<void> {
    await this.writeInside(this.root, sink, steps, known?.at(known.root));
  }

  private async *difference(
    folder: Folder,
    others: Folders,
    other: Folder | null,
    path: string,
    steps: Steps | undefined,
  ): AsyncIterable<FileEntry> {
    if (folder.oid !== null && folder.oid === other?.oid) return;
    const there = other === null ? null : await others.treeOf(other);
    for (const { name, kind, oid } of [...(await this.treeOf(folder)).entries()]) {
      if (steps?.due === true) await steps.rest();
      if (kind === "blob") {
        if (there?.find(name)?.kind !== "blob") yield { path: `${path}${name}`, oid };
        continue;
      }
      const inner = await this.inside(folder, name, false);
      const opposite = other === null ? null : await others.inside(other, name, false);
      if (inner !== null) yield* this.difference(inner, others, opposite, `${path}${name}/`, steps);
    }
  }

  private async *below(folder: Folder, path: string): AsyncIterable<FileEntry> {
    for (const { name, kind, oid } of [...(await this.treeOf(folder)).entries()]) {
      if (kind === "blob") {
        yield { path: `${path}${name}`, oid };
        continue;
      }
      // one that nobody had looked into is not kept
      const inner = folder.folders.get(name) ?? { oid, tree: new TreeBytes(await this.repository.read(oid)), folders: new Map() };
      yield* this.below(inner, `${path}${name}/`);
    }
  }

  private async folderAt(names: readonly string[]): Promise<Folder | null> {
    let folder: Folder | null = this.root;
    for (const name of names) {
      folder = await this.inside(folder, name, false);
      if (folder === null) return null;
    }
    return folder;
  }

  /** The folder of this name; `make`: where there is none, over a file if need be. */
  private async inside(folder: Folder, name: string, make: boolean): Promise<Folder | null> {
    const known = folder.folders.get(name);
    if (known !== undefined) return known;
    const tree = await this.treeOf(folder);
    const entry = tree.find(name);
    const again = folder.folders.get(name);
    if (again !== undefined) return again;
    if (entry?.kind !== "tree" && !make) return null;
    const inner = entry?.kind === "tree" ? { oid: entry.oid, tree: null, folders: new Map() } : emptyFolder();
    if (entry?.kind !== "tree") {
      tree.set(name, "tree", zeros);
      this.bytes += name.length + entryBytes + folderBytes;
    }
    folder.folders.set(name, inner);
    return inner;
  }

  private async treeOf(folder: Folder): Promise<TreeBytes> {
    if (folder.tree !== null) return folder.tree;
    const tree = new TreeBytes(await this.repository.read(folder.oid ?? ""));
    if (folder.tree !== null) return folder.tree;
    this.bytes += tree.size + folderBytes;
    return (folder.tree = tree);
  }

  private at(folder: Folder): Known {
    return { folders: this, folder };
  }

  private async written(folder: Folder, sink: ObjectSink, steps: Steps | undefined, known: Known | undefined): Promise<Oid> {
    if (folder.oid !== null) return folder.oid;
    await this.writeInside(folder, sink, steps, known);
    const { object } = await this.treeOf(folder);
    const oid = oidOf(object);
    if (known?.folder.oid !== oid) sink.add(object, oid);
    folder.oid = oid;
    if (sink.full) await sink.spill();
    if (steps?.due === true) await steps.rest();
    return oid;
  }

  private async writeInside(folder: Folder, sink: ObjectSink, steps: Steps | undefined, known: Known | undefined): Promise<void> {
    for (const [name, inner] of folder.folders) {
      if (inner.oid !== null) continue;
      const there = known === undefined ? null : await known.folders.inside(known.folder, name, false);
      const oid = await this.written(inner, sink, steps, there === null ? undefined : known?.folders.at(there));
      folder.tree?.set(name, "tree", oid);
    }
  }
}

interface Known {
  readonly folders: Folders;
  readonly folder: Folder;
}

/** Of an entry beside its name, and of a folder in memory beside its entries: about. */
const [entryBytes, folderBytes] = [28, 400];

const emptyFolder = (): Folder => ({ oid: null, tree: new TreeBytes(null), folders: new Map() });
