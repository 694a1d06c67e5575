/**
 * Objects of several packs brought into one. What lies there compressed or as a delta is copied as it lies, so that a pack of a million
 * objects costs what its bytes cost; what becomes a delta anew is told by the caller, older against newer.
 */
import { deflated, inflated } from "./compress.ts";
import { applyDelta, makeDelta } from "./delta.ts";
import { type GitObject, ObjectDamaged, oidOf, type Oid } from "./object.ts";
import { OidTable } from "./oid-table.ts";
import type { PackBuilder } from "./pack-builder.ts";
import type { PackSource, StoredEntry } from "./pack-source.ts";
import { kindCodes } from "./pack-format.ts";
import type { Repository } from "./repository.ts";
import type { Steps } from "./steps.ts";

/** Git's own limit: a longer chain makes its last object slow to read. */
export const chainMax = 50;
/** Larger objects stay whole: to compare them would hold the event loop up. */
const deltaBytesMax = 128 * 1024;
/** Contents that were read lately; neighbours in time are compared with each other. */
const cacheBytesMax = 24 * 1024 * 1024;
const level = 6;

/** The clock is looked at after so many objects that cost next to nothing. */
const lookEvery = 256;

/** Where an object lies. */
export interface Place {
  readonly source: PackSource;
  readonly place: number;
}

export interface RepackParts {
  readonly repository: Repository;
  /** An object that is in two of them is taken from the first; the last is best the largest. */
  readonly sources: readonly PackSource[];
  readonly builder: PackBuilder;
  readonly steps: Steps;
  /** What may come into the new pack, by its 20 bytes; all if left out. */
  readonly wanted?: (name: Uint8Array) => boolean;
}

export class Repack {
  private readonly parts: RepackParts;
  private readonly builder: PackBuilder;
  private readonly steps: Steps;
  /** The objects of all sources but the last; by their number, which source and where in it. */
  private readonly near: OidTable;
  private readonly nearSources: Uint16Array;
  private readonly nearPlaces: Uint32Array;
  private readonly cache = new Map<Oid, GitObject>();
  private cached = 0;

  private constructor(parts: RepackParts) {
    this.parts = parts;
    this.builder = parts.builder;
    this.steps = parts.steps;
    const count = parts.sources.slice(0, -1).reduce((sum, source) => sum + source.count, 0);
    this.near = new OidTable(count);
    this.nearSources = new Uint16Array(count);
    this.nearPlaces = new Uint32Array(count);
  }

  static async over(parts: RepackParts): Promise<Repack> {
    const repack = new Repack(parts);
    const { near, nearSources, nearPlaces, steps } = repack;
    for (const [i, source] of parts.sources.slice(0, -1).entries()) {
      for (let place = 0; place < source.count; place++) {
        const { size } = near;
        if (near.add(source.nameAt(place)) === size) {
          nearSources[size] = i;
          nearPlaces[size] = place;
        }
        if (place % lookEvery === 0 && steps.due) await steps.rest();
      }
    }
    return repack;
  }

  /** Null when it is in no source. */
  placeOf(oid: Oid): Place | null {
    const { sources } = this.parts;
    const number = this.near.findOid(oid);
    const source = sources[number < 0 ? sources.length - 1 : (this.nearSources[number] as number)];
    const place = number < 0 ? (source?.placeOf(oid) ?? -1) : (this.nearPlaces[number] as number);
    return source === undefined || place < 0 ? null : { source, place };
  }

  /** Brings in all that is wanted of a source and is not there yet, in the order in which it lies. */
  async copyAll(source: PackSource): Promise<void> {
    const { wanted = () => true } = this.parts;
    for (let place = 0; place < source.count; place++) {
      const name = source.nameAt(place);
      if (this.builder.find(name) < 0 && wanted(name)) {
        // most lie as they should, in bytes that have been read ahead: a wait for each would cost more than they do
        const entry = source.peek(place);
        if (entry === null || !this.copyNow(source, place, name, entry)) await this.copy({ source, place });
        else if (this.builder.full) await this.builder.flush();
      }
      if (place % lookEvery === 0 && this.steps.due) await this.steps.rest();
    }
  }

  /** Wherever it lies, and checked against its name. Rejects with {@link ObjectDamaged}. */
  async content(oid: Oid): Promise<GitObject> {
    const known = this.cache.get(oid);
    if (known !== undefined) {
      this.cache.delete(oid);
      this.cache.set(oid, known);
      return known;
    }
    const at = this.placeOf(oid);
    const object = at === null ? await this.parts.repository.read(oid) : await this.stored(at);
    if (at !== null && oidOf(object) !== oid) throw new ObjectDamaged(`object ${oid} in ${at.source.name} is altered`);
    this.keep(oid, object);
    return object;
  }

  /** Copies the object, and before it what it is a delta of. Gives its number in the new pack. */
  async copy({ source, place }: Place): Promise<number> {
    const { wanted = () => true } = this.parts;
    const chain: number[] = [];
    let number = -1;
    for (let at = place; at >= 0; at = source.baseOf(at)) {
      const name = source.nameAt(at);
      number = this.builder.find(name);
      if (number >= 0 || (at !== place && !wanted(name))) break;
      chain.push(at);
      if (chain.length > source.count) throw new ObjectDamaged(`a chain of deltas in ${source.name} has no end`);
    }
    for (const at of chain.toReversed()) {
      number = await this.copyOne(source, at, number);
      if (this.builder.full) await this.builder.flush();
      if (this.steps.due) await this.steps.rest();
    }
    return number;
  }

  /**
   * Brings in the older object as a delta of the newer one, which is in the new pack then as well. Both have to lie in a source; where
   * that is not so, where a delta would gain nothing, or the chain would grow too long, the older one is left for {@link copy}.
   */
  async makeDelta(older: Oid, newer: Oid): Promise<void> {
    const from = this.placeOf(older);
    const base = this.placeOf(newer);
    if (from === null || base === null || from.source.baseOf(from.place) >= 0) return;
    const name = from.source.nameAt(from.place);
    if (this.builder.find(name) >= 0) return;
    const number = await this.copy(base);
    // the copy may have brought it in, as a base
    if (this.builder.find(name) >= 0) return;
    if (this.builder.depthOf(number) + 1 + from.source.heightOf(from.place) > chainMax) return;
    const [target, source] = [await this.content(older), await this.content(newer)];
    if (target.kind !== source.kind || Math.max(target.bytes.length, source.bytes.length) > deltaBytesMax) return;
    const delta = makeDelta(source.bytes, target.bytes);
    if (delta.length >= target.bytes.length) return;
    const compressed = deflated(delta, level);
    const whole = await from.source.read(from.place);
    if (compressed.length >= whole.compressed.length) return;
    this.builder.putDelta(name, number, delta.length, compressed);
    if (this.builder.full) await this.builder.flush();
    if (this.steps.due) await this.steps.rest();
  }

  /** `base`: the number of what it is a delta of; -1 when that does not come in. */
  private async copyOne(source: PackSource, place: number, base: number): Promise<number> {
    const name = source.nameAt(place);
    const isDelta = source.baseOf(place) >= 0;
    if (isDelta && (base < 0 || this.builder.depthOf(base) >= chainMax)) {
      const { kind, bytes } = await this.content(name.toString("hex"));
      return this.builder.put(name, kindCodes[kind], bytes.length, deflated(bytes, level));
    }
    return this.put(name, base, await source.read(place));
  }

  /** False when something else has to be done before. */
  private copyNow(source: PackSource, place: number, name: Buffer, entry: StoredEntry): boolean {
    const base = source.baseOf(place);
    const number = base < 0 ? -1 : this.builder.find(source.nameAt(base));
    if (base >= 0 && (number < 0 || this.builder.depthOf(number) >= chainMax)) return false;
    this.put(name, number, entry);
    return true;
  }

  private put(name: Buffer, base: number, { head, compressed }: StoredEntry): number {
    if (base < 0) return this.builder.put(name, head.code, head.length, compressed);
    return this.builder.putDelta(name, base, head.length, compressed);
  }

  private async stored({ source, place }: Place): Promise<GitObject> {
    if (source.baseOf(place) < 0) return source.whole(place);
    const { head, compressed } = await source.read(place);
    const delta = inflated(compressed, head.length, source.name);
    const base = await this.content(source.nameAt(source.baseOf(place)).toString("hex"));
    return { kind: base.kind, bytes: applyDelta(base.bytes, delta) };
  }

  private keep(oid: Oid, object: GitObject): void {
    this.cache.set(oid, object);
    this.cached += object.bytes.length;
    for (const [oldest, { bytes }] of this.cache) {
      if (this.cached <= cacheBytesMax) break;
      this.cache.delete(oldest);
      this.cached -= bytes.length;
    }
  }
}
