/** Files that two trees do not have alike, found by reading only the folders that differ. */
import { entriesOf, type Oid, type TreeEntry } from "../git/object.ts";
import type { Repository } from "../git/repository.ts";

export interface FileChange {
  readonly path: string;
  /** Null where there is none. */
  readonly from: Oid | null;
  readonly to: Oid | null;
}

/** In the order of their paths within each folder. `enter`: whether what is at this path of the roots is looked at. */
export async function* changedFiles(
  repository: Repository,
  from: Oid | null,
  to: Oid | null,
  enter: (path: string) => boolean = () => true,
  below = "",
): AsyncIterable<FileChange> {
  if (from === to) return;
  const [older, newer] = [await entriesIn(repository, from), await entriesIn(repository, to)];
  const names = [...new Set([...older.keys(), ...newer.keys()])].toSorted((a, b) => (a < b ? -1 : 1));
  for (const name of names) {
    const path = `${below}${name}`;
    if (below === "" && !enter(path)) continue;
    const [a, b] = [older.get(name), newer.get(name)];
    if (a?.oid === b?.oid) continue;
    const [fileA, fileB] = [oidAs("blob", a), oidAs("blob", b)];
    if (fileA !== null || fileB !== null) yield { path, from: fileA, to: fileB };
    yield* changedFiles(repository, oidAs("tree", a), oidAs("tree", b), enter, `${path}/`);
  }
}

const oidAs = (kind: TreeEntry["kind"], entry: TreeEntry | undefined): Oid | null => (entry?.kind === kind ? entry.oid : null);

async function entriesIn(repository: Repository, tree: Oid | null): Promise<Map<string, TreeEntry>> {
  if (tree === null) return new Map();
  return new Map(entriesOf(await repository.read(tree)).map((entry) => [entry.name, entry]));
}
