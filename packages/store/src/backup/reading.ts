/** Parts of a commit that both the writer and the reader of backups look at. */
import { manifestPath, parseManifest, type Manifest } from "@aether/core/backup/manifest";
import { BackupFault, observedFolder } from "@aether/core/backup/thing-files";
import { entriesOf, oidOf, treeOf, type Oid, type TreeEntry } from "../git/object.ts";
import type { Repository } from "../git/repository.ts";

/** Of the commit with this tree. Rejects with {@link BackupFault} when it has none that can be used, or ObjectDamaged. */
export async function manifestOf(repository: Repository, tree: Oid): Promise<Manifest> {
  const entry = entriesOf(await repository.read(tree)).find(({ name }) => name === manifestPath);
  if (entry?.kind !== "blob") throw new BackupFault(`the commit has no ${manifestPath}: it is no backup`);
  return parseManifest(await textOf(repository, entry.oid));
}

export async function textOf(repository: Repository, oid: Oid): Promise<string> {
  const { bytes } = await repository.read(oid);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

/** The hash over all that is wanted: the name of a tree with the folders of wanted things alone. `root`: what is in the commit's. */
export const wantedOf = (root: readonly TreeEntry[]): Oid =>
  oidOf(treeOf(root.filter(({ name, kind }) => kind === "tree" && name !== observedFolder)));
