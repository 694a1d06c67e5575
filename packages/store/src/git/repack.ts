/**
 * Objects of several packs brought into one. What lies there compressed or as a delta is copied as it lies, so that a pack of a million
 * objects costs what its bytes cost; what becomes a delta anew is told by the caller, older against newer.
 */
import { deflateSync, inflateSync } from "node:zlib";
import { applyDelta, makeDelta } from "./delta.ts";
import { type GitObject, ObjectDamaged, type ObjectKind, oidOf, type Oid } from "./object.ts";
import type { PackBuilder } from "./pack-builder.ts";
import type { PackSource } from "./pack-source.ts";
import { kindCodes } from "./pack-writer.ts";
import type { Repository } from "./repository.ts";
import type { Steps } from "./steps.ts";

/** Git's own limit: a longer chain makes its last object slow to read. */
export const chainMax = 50;
/** Larger objects stay whole: to compare them would hold the event loop up. */
const deltaBytesMax = 128 * 1024;
/** Contents that were read lately; neighbours in time are compared with each other. */
const cacheBytesMax = 24 * 1024 * 1024;
const level = 6;
const kinds = new Map(Object.entries(kindCodes).map(([kind, code]) => [code, kind as ObjectKind]));

/** Where an object lies. */
export interface Place {
  readonly source: PackSource;
  readonly place: number;
}

export class Repack {
  private readonly repository: Repository;
  private readonly sources: readonly PackSource[];
  private readonly builder: PackBuilder;
  private readonly steps: Steps;
  private readonly cache = new Map<Oid, GitObject>();
  private cached = 0;

  /** `sources`: in the order in which an object that is in two of them is looked for. */
  constructor(repository: Repository, sources: readonly PackSource[], builder: PackBuilder, steps: Steps) {
    this.repository = repository;
    this.sources = sources;
    this.builder = builder;
    this.steps = steps;
  }

  placeOf(oid: Oid): Place | null {
    for (const source of this.sources) {
      const place = source.placeOf(oid);
      if (place >= 0) return { source, place };
    }
    return null;
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
    const object = at === null ? await this.repository.read(oid) : await this.stored(at);
    if (at !== null && oidOf(object) !== oid) throw new ObjectDamaged(`object ${oid} in ${at.source.name} is altered`);
    this.keep(oid, object);
    return object;
  }

  /** Copies the object, and before it what it is a delta of. Gives its number in the new pack. */
  async copy({ source, place }: Place): Promise<number> {
    const chain: number[] = [];
    let number = -1;
    for (let at = place; at >= 0; at = source.baseOf(at)) {
      number = this.builder.find(source.nameAt(at));
      if (number >= 0) break;
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
    const compressed = deflateSync(delta, { level });
    const whole = await from.source.read(from.place);
    if (compressed.length >= whole.compressed.length) return;
    this.builder.putDelta(name, number, delta.length, compressed);
    if (this.builder.full) await this.builder.flush();
    if (this.steps.due) await this.steps.rest();
  }

  /** `base`: the number of what it is a delta of, which is in the new pack by now. */
  private async copyOne(source: PackSource, place: number, base: number): Promise<number> {
    const name = source.nameAt(place);
    if (source.baseOf(place) >= 0 && this.builder.depthOf(base) >= chainMax) {
      const { kind, bytes } = await this.content(name.toString("hex"));
      return this.builder.put(name, kindCodes[kind], bytes.length, deflateSync(bytes, { level }));
    }
    const { head, compressed } = await source.read(place);
    if (source.baseOf(place) < 0) return this.builder.put(name, head.code, head.length, compressed);
    return this.builder.putDelta(name, base, head.length, compressed);
  }

  private async stored({ source, place }: Place): Promise<GitObject> {
    const { head, compressed } = await source.read(place);
    const content = inflated(compressed, head.length, source.name);
    if (source.baseOf(place) < 0) return { kind: kinds.get(head.code) ?? "blob", bytes: content };
    const base = await this.content(source.nameAt(source.baseOf(place)).toString("hex"));
    return { kind: base.kind, bytes: applyDelta(base.bytes, content) };
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

function inflated(compressed: Buffer, length: number, where: string): Buffer {
  let content: Buffer;
  try {
    content = inflateSync(compressed, { maxOutputLength: length + 1 });
  } catch (cause) {
    throw new ObjectDamaged(`an object in ${where} cannot be unpacked`, { cause });
  }
  if (content.length !== length) throw new ObjectDamaged(`an object in ${where} has another length than it says`);
  return content;
}
