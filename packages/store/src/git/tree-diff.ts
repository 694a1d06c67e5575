/** Which files and folders of one tree stand in another one at the same path, and are different there. */
import { entriesOf, type GitObject, type Oid } from "./object.ts";

export interface Successor {
  readonly older: Oid;
  readonly newer: Oid;
}

/** Folders before what is in them. Both of a pair are folders, or both are files. Reads only folders that differ. */
export async function* successors(read: (oid: Oid) => Promise<GitObject>, older: Oid, newer: Oid): AsyncIterable<Successor> {
  if (older === newer) return;
  const waiting: Successor[] = [{ older, newer }];
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    yield pair;
    const before = new Map(entriesOf(await read(pair.older)).map((entry) => [entry.name, entry]));
    for (const { name, kind, oid } of entriesOf(await read(pair.newer))) {
      const was = before.get(name);
      if (was === undefined || was.kind !== kind || was.oid === oid) continue;
      if (kind === "tree") waiting.push({ older: was.oid, newer: oid });
      else yield { older: was.oid, newer: oid };
    }
  }
}

/** Every folder and file below the tree that `seen` does not know, itself first; `seen` answers true when it knows the name already. */
export async function* below(read: (oid: Oid) => Promise<GitObject>, root: Oid, seen: (oid: Oid) => boolean): AsyncIterable<Oid> {
  if (seen(root)) return;
  yield root;
  const waiting = [root];
  for (let tree = waiting.pop(); tree !== undefined; tree = waiting.pop()) {
    for (const { kind, oid } of entriesOf(await read(tree))) {
      if (seen(oid)) continue;
      yield oid;
      if (kind === "tree") waiting.push(oid);
    }
  }
}
