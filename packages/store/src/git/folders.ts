/**
 * The folders of a commit, read as far as they are asked for, and changed in memory until they are written: only what changed becomes
 * new objects, and nothing else is read, so that a change costs what its path costs, whatever else there is.
 */
import { entriesOf, type Oid, type TreeEntry, treeOf } from "./object.ts";
import type { ObjectSink } from "./object-pack.ts";
import type { Repository } from "./repository.ts";
import type { Steps } from "./steps.ts";

interface Folder {
  /** The tree it is of; null while it has changes that were not written. */
  oid: Oid | null;
  /** Null until it is read. */
  entries: Map<string, Entry> | null;
}

interface File {
  readonly kind: "blob";
  readonly oid: Oid;
  /** The round in which it was put last; see {@link Folders.sweep}. */
  put: number;
}

type Entry = File | { readonly kind: "tree"; readonly folder: Folder };

export class Folders {
  private readonly repository: Repository;
  private root: Folder;
  private round = 0;
  /** Entries in memory, as far as they were read. */
  private count = 0;

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

  /** Entries that are held in memory, removed ones included: what this costs. */
  get held(): number {
    return this.count;
  }

  /** Puts the file there, or takes it away (null), and gives what was there; folders come and go with their files. */
  async put(path: string, oid: Oid | null): Promise<Oid | null> {
    const names = path.split("/");
    const name = names.pop() ?? "";
    const above: { readonly folder: Folder; readonly name: string }[] = [];
    let folder: Folder = this.root;
    for (const each of names) {
      above.push({ folder, name: each });
      const entries = await this.entriesOf(folder);
      let entry = entries.get(each);
      if (entry?.kind !== "tree") {
        if (oid === null) return null;
        entry = { kind: "tree", folder: { oid: null, entries: new Map() } };
        this.set(entries, each, entry);
      }
      ({ folder } = entry);
    }
    const entries = await this.entriesOf(folder);
    const entry = entries.get(name);
    const before = entry?.kind === "blob" ? entry.oid : null;
    if (entry?.kind === "blob" && before === oid) entry.put = this.round;
    if (entry === undefined ? oid === null : before === oid) return before;
    if (oid === null) entries.delete(name);
    else this.set(entries, name, { kind: "blob", oid, put: this.round });
    folder.oid = null;
    for (const { folder: parent, name: child } of above.toReversed()) {
      parent.oid = null;
      if (folder.entries?.size === 0) parent.entries?.delete(child);
      folder = parent;
    }
    return before;
  }

  /** From here on {@link sweep} takes away what is not put again. */
  beginRound(): void {
    this.round++;
  }

  /** Takes away every file that was not put since {@link beginRound}, and gives them. */
  async *sweep(): AsyncIterable<{ readonly path: string; readonly oid: Oid }> {
    for await (const { path, file } of this.below(this.root, "")) {
      if (file.put === this.round) continue;
      await this.put(path, null);
      yield { path, oid: file.oid };
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
    for await (const { path: found, file } of this.below(folder, path === "" ? "" : `${path}/`))
      yield { path: found, oid: file.oid };
  }

  /** The names at the root with what they are of, as far as `folder` has been written. */
  async top(): Promise<readonly { readonly name: string; readonly kind: "blob" | "tree"; readonly oid: Oid }[]> {
    return [...(await this.entriesOf(this.root))].map(([name, entry]) => ({ name, kind: entry.kind, oid: writtenOid(entry) }));
  }

  /** Adds what changed to the pack, and gives the root's tree. */
  write(writer: ObjectSink, steps?: Steps): Promise<Oid> {
    return this.written(this.root, writer, steps);
  }

  /** The same for all but the root: {@link top} says then what it will be of. */
  async writeFolders(writer: ObjectSink, steps?: Steps): Promise<void> {
    for (const entry of this.root.entries?.values() ?? [])
      if (entry.kind === "tree") await this.written(entry.folder, writer, steps);
  }

  private async *below(folder: Folder, path: string): AsyncIterable<{ readonly path: string; readonly file: File }> {
    const inOrder = [...(await this.entriesOf(folder))].toSorted(([a], [b]) => (a < b ? -1 : 1));
    for (const [name, entry] of inOrder) {
      if (entry.kind === "blob") yield { path: `${path}${name}`, file: entry };
      else yield* this.below(entry.folder, `${path}${name}/`);
    }
  }

  private set(entries: Map<string, Entry>, name: string, entry: Entry): void {
    if (!entries.has(name)) this.count++;
    entries.set(name, entry);
  }

  private async written(folder: Folder, writer: ObjectSink, steps: Steps | undefined): Promise<Oid> {
    if (folder.oid !== null) return folder.oid;
    const entries: TreeEntry[] = [];
    for (const [name, entry] of folder.entries ?? []) {
      const oid = entry.kind === "blob" ? entry.oid : await this.written(entry.folder, writer, steps);
      entries.push({ name, kind: entry.kind, oid });
    }
    folder.oid = writer.add(treeOf(entries));
    if (writer.full) await writer.spill();
    if (steps?.due === true) await steps.rest();
    return folder.oid;
  }

  private async entriesOf(folder: Folder): Promise<Map<string, Entry>> {
    if (folder.entries !== null) return folder.entries;
    const read = entriesOf(await this.repository.read(folder.oid ?? ""));
    const entries = read.map(({ name, kind, oid }): [string, Entry] => [
      name,
      kind === "blob" ? { kind, oid, put: 0 } : { kind, folder: { oid, entries: null } },
    ]);
    if (folder.entries !== null) return folder.entries;
    this.count += entries.length;
    return (folder.entries = new Map(entries));
  }
}

function writtenOid(entry: Entry): Oid {
  const oid = entry.kind === "blob" ? entry.oid : entry.folder.oid;
  if (oid === null) throw new Error("a folder with changes has no tree yet: write it first");
  return oid;
}
