/** Git's objects as bytes and back. An object's name is the SHA-1 of its kind, its length and its bytes, as 40 hex digits. */
import { createHash, hash } from "node:crypto";

export type Oid = string;
export type ObjectKind = "commit" | "tree" | "blob" | "tag";

export interface GitObject {
  readonly kind: ObjectKind;
  readonly bytes: Uint8Array;
}

export interface TreeEntry {
  /** One file or folder name. */
  readonly name: string;
  readonly oid: Oid;
  readonly kind: "blob" | "tree";
}

export interface Commit {
  readonly tree: Oid;
  readonly parents: readonly Oid[];
  /** Author and committer, "Name <address>". */
  readonly by: string;
  /** Unix seconds, in UTC. */
  readonly at: number;
  readonly message: string;
}

/** Bytes that are no object of the kind they should be. */
export class ObjectDamaged extends Error {
  override readonly name = "ObjectDamaged";
}

const oidBytes = 20;
const oneShotBytes = 4_096;
const modes = { blob: "100644", tree: "40000" } as const;

/** The object's name. */
export function oidOf({ kind, bytes }: GitObject): Oid {
  const head = `${kind} ${bytes.length}\0`;
  if (bytes.length > oneShotBytes) return createHash("sha1").update(head).update(bytes).digest("hex");
  return hash("sha1", Buffer.concat([Buffer.from(head), bytes]), "hex");
}

export const blobOf = (text: string): GitObject => ({ kind: "blob", bytes: Buffer.from(text) });

/** A tree of these entries, in git's order: by bytes, folders as if their names ended with a slash. */
export function treeOf(entries: readonly TreeEntry[]): GitObject {
  const keyed = entries.map((entry) => ({ entry, key: entry.kind === "tree" ? `${entry.name}/` : entry.name }));
  keyed.sort(keyed.every(({ key }) => isAscii(key)) ? byUnits : byBytes);
  let size = 0;
  for (const { entry, key } of keyed) size += modes[entry.kind].length + 2 + Buffer.byteLength(key) + oidBytes;
  const bytes = Buffer.allocUnsafe(size);
  let at = 0;
  for (const { entry } of keyed) {
    at += bytes.write(`${modes[entry.kind]} ${entry.name}\0`, at);
    at += bytes.write(entry.oid, at, "hex");
  }
  return { kind: "tree", bytes: bytes.subarray(0, at) };
}

interface Keyed {
  readonly key: string;
}

const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text);
const byUnits = (a: Keyed, b: Keyed): number => (a.key < b.key ? -1 : 1);
const byBytes = (a: Keyed, b: Keyed): number => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key));

/** Throws {@link ObjectDamaged}, also for links and submodules, which no backup holds. */
export function entriesOf({ kind, bytes }: GitObject): TreeEntry[] {
  if (kind !== "tree") throw new ObjectDamaged(`a ${kind} is no tree`);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: TreeEntry[] = [];
  for (let at = 0; at < buffer.length;) {
    const space = buffer.indexOf(0x20, at);
    const end = buffer.indexOf(0, space);
    if (space < 0 || end < 0 || end + oidBytes >= buffer.length) throw new ObjectDamaged("a tree ends in the middle of an entry");
    const mode = buffer.toString("latin1", at, space);
    const found = mode === "40000" ? "tree" : mode.startsWith("100") ? "blob" : null;
    if (found === null) throw new ObjectDamaged(`a tree has an entry of mode ${mode}, which is neither file nor folder`);
    const oid = buffer.toString("hex", end + 1, end + 1 + oidBytes);
    entries.push({ name: buffer.toString("utf8", space + 1, end), oid, kind: found });
    at = end + 1 + oidBytes;
  }
  return entries;
}

/** A commit whose author is its committer. */
export function commitOf({ tree, parents, by, at, message }: Commit): GitObject {
  const who = `${by} ${at} +0000`;
  const lines = [`tree ${tree}`, ...parents.map((parent) => `parent ${parent}`), `author ${who}`, `committer ${who}`, ""];
  return { kind: "commit", bytes: Buffer.from(`${lines.join("\n")}\n${message.trimEnd()}\n`) };
}

/** Of the committer's name and time; headers of others (signatures, encodings) are passed over. Throws {@link ObjectDamaged}. */
export function parseCommit({ kind, bytes }: GitObject): Commit {
  if (kind !== "commit") throw new ObjectDamaged(`a ${kind} is no commit`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
  const cut = text.indexOf("\n\n");
  const head = (cut < 0 ? text : text.slice(0, cut)).split("\n");
  const values = (name: string): string[] =>
    head.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const [tree] = values("tree");
  const committer = /^(.*) (\d+) [+-]\d{4}$/.exec(values("committer")[0] ?? "");
  if (tree === undefined || committer === null) throw new ObjectDamaged("a commit names no tree or no committer");
  const [, by = "", at = "0"] = committer;
  return { tree, parents: values("parent"), by, at: Number(at), message: cut < 0 ? "" : text.slice(cut + 2) };
}
