import { commitOf, treeOf } from "@aether/store/git/object";
import type { RepositoryHome } from "../repository-home.ts";
import { QuickPack } from "@aether/store/git/testing/quick-pack";

/** One commit of one file, in a pack of its own, on top of what is there. */
export async function commitOn(home: RepositoryHome, text: string): Promise<string> {
  const repository = await home.repository();
  const head = await repository.head();
  const writer = new QuickPack(repository.packFolder);
  const oid = writer.add({ kind: "blob", bytes: Buffer.from(text) });
  const tree = writer.add(treeOf([{ name: "file", kind: "blob", oid }]));
  const by = "Aether <aether@home>";
  const commit = writer.add(commitOf({ tree, parents: head === null ? [] : [head], by, at: 1, message: text }));
  await writer.finish();
  await repository.moveHead(head, commit);
  return commit;
}
