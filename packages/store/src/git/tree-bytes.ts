/**
 * A folder as the bytes of its tree, changed in place: an entry takes as much memory as it does on disk, and a change costs a copy and
 * not an object for each of the others. Layout of an entry: mode, space, name, NUL, 20 bytes of the oid.
 */
import { type GitObject, ObjectDamaged, type Oid, type TreeEntry } from "./object.ts";

const oidBytes = 20;
const [space, slash] = [0x20, 0x2f];
const modes = { blob: Buffer.from("100644 "), tree: Buffer.from("40000 ") } as const;

/** Where an entry lies. */
interface Place {
  readonly at: number;
  readonly name: number;
  readonly nul: number;
  readonly kind: TreeEntry["kind"];
}

export class TreeBytes {
  private bytes: Buffer;

  /** `tree`: belongs to this from now on; null for an empty one. */
  constructor(tree: GitObject | null) {
    if (tree !== null && tree.kind !== "tree") throw new ObjectDamaged(`a ${tree.kind} is no tree`);
    const { buffer, byteOffset, byteLength } = tree?.bytes ?? new Uint8Array(0);
    this.bytes = Buffer.from(buffer, byteOffset, byteLength);
  }

  /** The view is valid until the next change. */
  get object(): GitObject {
    return { kind: "tree", bytes: this.bytes };
  }

  get size(): number {
    return this.bytes.length;
  }

  /** Throws {@link ObjectDamaged} on bytes that are no tree, as everything here does. */
  find(name: string): Omit<TreeEntry, "name"> | null {
    const place = this.placeOf(name);
    return place === null ? null : { kind: place.kind, oid: this.oidAt(place) };
  }

  /** Puts the entry in its place, over one of the same name if need be. */
  set(name: string, kind: TreeEntry["kind"], oid: Oid): void {
    const there = this.placeOf(name);
    if (there?.kind === kind) {
      this.bytes.write(oid, there.nul + 1, "hex");
      return;
    }
    if (there !== null) this.cut(there);
    const named = Buffer.from(name);
    const at = this.before(named, kind);
    const entry = Buffer.concat([modes[kind], named, Buffer.alloc(1), Buffer.from(oid, "hex")]);
    this.bytes = Buffer.concat([this.bytes.subarray(0, at), entry, this.bytes.subarray(at)]);
  }

  remove(name: string): void {
    const place = this.placeOf(name);
    if (place !== null) this.cut(place);
  }

  *entries(): Iterable<TreeEntry> {
    for (let at = 0; at < this.bytes.length;) {
      const place = this.placeAt(at);
      yield { name: this.bytes.toString("utf8", place.name, place.nul), kind: place.kind, oid: this.oidAt(place) };
      at = place.nul + 1 + oidBytes;
    }
  }

  private placeOf(name: string): Place | null {
    const named = Buffer.from(name);
    for (let at = 0; at < this.bytes.length;) {
      const place = this.placeAt(at);
      const same =
        place.nul - place.name === named.length && this.bytes.compare(named, 0, named.length, place.name, place.nul) === 0;
      if (same) return place;
      at = place.nul + 1 + oidBytes;
    }
    return null;
  }

  /** Where an entry of this name belongs: by bytes, folders as if their names ended with a slash. */
  private before(named: Buffer, kind: TreeEntry["kind"]): number {
    let at = 0;
    while (at < this.bytes.length) {
      const place = this.placeAt(at);
      const length = Math.min(named.length, place.nul - place.name);
      const order =
        this.bytes.compare(named, 0, length, place.name, place.name + length) ||
        this.after(place, length) - (length < named.length ? (named[length] as number) : kind === "tree" ? slash : 0);
      if (order > 0) return at;
      at = place.nul + 1 + oidBytes;
    }
    return at;
  }

  /** The byte of a name at this place, with what is thought to follow its last one. */
  private after({ name, nul, kind }: Place, length: number): number {
    if (name + length < nul) return this.bytes[name + length] as number;
    return kind === "tree" ? slash : 0;
  }

  private placeAt(at: number): Place {
    const { bytes } = this;
    const name = bytes.indexOf(space, at) + 1;
    const nul = bytes.indexOf(0, name);
    if (name === 0 || nul < 0 || nul + oidBytes >= bytes.length) throw new ObjectDamaged("a tree ends in the middle of an entry");
    const folder = bytes[at] === modes.tree[0] && name - at === modes.tree.length;
    if (!folder && !(bytes[at] === modes.blob[0] && bytes[at + 1] === modes.blob[1] && bytes[at + 2] === modes.blob[2]))
      throw new ObjectDamaged(
        `a tree has an entry of mode ${bytes.toString("latin1", at, name - 1)}, which is neither file nor folder`,
      );
    return { at, name, nul, kind: folder ? "tree" : "blob" };
  }

  private oidAt({ nul }: Place): Oid {
    return this.bytes.toString("hex", nul + 1, nul + 1 + oidBytes);
  }

  private cut({ at, nul }: Place): void {
    this.bytes = Buffer.concat([this.bytes.subarray(0, at), this.bytes.subarray(nul + 1 + oidBytes)]);
  }
}
