/**
 * The folders of a commit, read as far as they are asked for, and changed in memory until they are written: only what changed becomes
 * new objects, and nothing else is read, so that a change costs what its path costs, whatever else there is.
 */
import { entriesOf, type Oid, treeOf } from "./object.ts";
import type { PackWriter } from "./pack-writer.ts";
import type { Repository } from "./repository.ts";

interface Folder {
  /** The tree it is of; null while it has changes that were not written. */
  oid: Oid | null;
  /** Null until it is read. */
  entries: Map<string, Entry> | null;
}

type Entry = { readonly kind: "blob"; readonly oid: Oid } | { readonly kind: "tree"; readonly folder: Folder };

export class Folders {
  private readonly repository: Repository;
  private root: Folder;

  /** `root`: the tree to begin with; null for none. */
  constructor(repository: Repository, root: Oid | null) {
    this.repository = repository;
    this.root = root === null ? { oid: null, entries: new Map() } : { oid: root, entries: null };
  }

  /** The file at `path`, null when there is none. */
  async file(path: string): Promise<Oid | null> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    let folder: Folder = this.root;
    for (const each of names) {
      const entry = (await this.entriesOf(folder)).get(each);
      if (entry?.kind !== "tree") return null;
      ({ folder } = entry);
    }
    const entry = (await this.entriesOf(folder)).get(name);
    return entry?.kind === "blob" ? entry.oid : null;
  }

  /** Puts the file there, or takes it away (null); folders come and go with their files. */
  async put(path: string, oid: Oid | null): Promise<void> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    const above: { readonly folder: Folder; readonly name: string }[] = [];
    let folder: Folder = this.root;
    for (const each of names) {
      above.push({ folder, name: each });
      const entries = await this.entriesOf(folder);
      let entry = entries.get(each);
      if (entry?.kind !== "tree") {
        if (oid === null) return;
        entry = { kind: "tree", folder: { oid: null, entries: new Map() } };
        entries.set(each, entry);
      }
      ({ folder } = entry);
    }
    const entries = await this.entriesOf(folder);
    if (oid === null ? !entries.delete(name) : sameFile(entries.get(name), oid)) return;
    if (oid !== null) entries.set(name, { kind: "blob", oid });
    folder.oid = null;
    for (const { folder: parent, name: child } of above.toReversed()) {
      parent.oid = null;
      if (folder.entries?.size === 0) parent.entries?.delete(child);
      folder = parent;
    }
  }

  /** Every file below `path` ("" for all), in the order of their paths. */
  async *files(path = ""): AsyncIterable<{ readonly path: string; readonly oid: Oid }> {
    let folder: Folder = this.root;
    for (const name of path === "" ? [] : path.split("/")) {
      const entry = (await this.entriesOf(folder)).get(name);
      if (entry?.kind !== "tree") return;
      ({ folder } = entry);
    }
    yield* this.below(folder, path === "" ? "" : `${path}/`);
  }

  /** The names at the root with what they are of, as far as `folder` has been written. */
  async top(): Promise<readonly { readonly name: string; readonly kind: "blob" | "tree"; readonly oid: Oid }[]> {
    return [...(await this.entriesOf(this.root))].map(([name, entry]) => ({ name, kind: entry.kind, oid: writtenOid(entry) }));
  }

  /** Adds what changed to the pack, and gives the root's tree. */
  write(writer: PackWriter): Oid {
    return written(this.root, writer);
  }

  private async *below(folder: Folder, path: string): AsyncIterable<{ readonly path: string; readonly oid: Oid }> {
    const inOrder = [...(await this.entriesOf(folder))].toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, entry] of inOrder) {
      if (entry.kind === "blob") yield { path: path + name, oid: entry.oid };
      else yield* this.below(entry.folder, `${path}${name}/`);
    }
  }

  private async entriesOf(folder: Folder): Promise<Map<string, Entry>> {
    if (folder.entries !== null) return folder.entries;
    const read = entriesOf(await this.repository.read(folder.oid ?? ""));
    const entries = read.map(({ name, kind, oid }): [string, Entry] => [
      name,
      kind === "blob" ? { kind, oid } : { kind, folder: { oid, entries: null } },
    ]);
    folder.entries ??= new Map(entries);
    return folder.entries;
  }
}

const sameFile = (entry: Entry | undefined, oid: Oid): boolean => entry?.kind === "blob" && entry.oid === oid;

function writtenOid(entry: Entry): Oid {
  const oid = entry.kind === "blob" ? entry.oid : entry.folder.oid;
  if (oid === null) throw new Error("a folder with changes has no tree yet: write it first");
  return oid;
}

function written(folder: Folder, writer: PackWriter): Oid {
  if (folder.oid !== null) return folder.oid;
  const entries = [...(folder.entries ?? [])].map(([name, entry]) => ({
    name,
    kind: entry.kind,
    oid: entry.kind === "blob" ? entry.oid : written(entry.folder, writer),
  }));
  folder.oid = writer.add(treeOf(entries));
  return folder.oid;
}
