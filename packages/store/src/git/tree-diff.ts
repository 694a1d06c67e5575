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

/** Every folder and file of `newer` that does not stand at the same path in `older`, and that `seen` does not know; itself first. */
export async function* added(
  read: (oid: Oid) => Promise<GitObject>,
  older: Oid | null,
  newer: Oid,
  seen: (oid: Oid) => boolean,
): AsyncIterable<Oid> {
  if (older === newer || seen(newer)) return;
  yield newer;
  const waiting: { readonly older: Oid | null; readonly newer: Oid }[] = [{ older, newer }];
  for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
    const entries = pair.older === null ? [] : entriesOf(await read(pair.older));
    const before = new Map(entries.map((entry) => [entry.name, entry]));
    for (const { name, kind, oid } of entriesOf(await read(pair.newer))) {
      const was = before.get(name);
      if (was?.oid === oid || seen(oid)) continue;
      yield oid;
      if (kind === "tree") waiting.push({ older: was?.kind === "tree" ? was.oid : null, newer: oid });
    }
  }
}
