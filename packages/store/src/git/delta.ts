/**
 * Git's deltas: an object as pieces copied from another one and pieces of its own. Layout: length of the base and of the result as
 * varints (seven bits a byte, lowest first), then instructions: `1ooo ssss` copy (which bytes of offset and size follow), `0nnn nnnn` n
 * bytes as they are.
 */
import { ObjectDamaged } from "./object.ts";

const insertMax = 0x7f;
const copyMax = 0xffff;
/** A copy costs up to seven bytes: shorter likenesses are written out. */
const blockBytes = 16;

/** What the delta makes of its base. Throws {@link ObjectDamaged}. */
export function applyDelta(base: Uint8Array, delta: Uint8Array): Buffer {
  const reader = new DeltaReader(delta);
  if (reader.varint() !== base.length) throw new ObjectDamaged("a delta is of another base");
  const out = Buffer.allocUnsafe(reader.varint());
  let at = 0;
  while (!reader.done) {
    const { from, offset, size } = reader.next(base);
    if (offset + size > from.length || at + size > out.length) throw new ObjectDamaged("a delta copies what is not there");
    out.set(from.subarray(offset, offset + size), at);
    at += size;
  }
  if (at !== out.length) throw new ObjectDamaged("a delta makes less than it says");
  return out;
}

class DeltaReader {
  private readonly bytes: Uint8Array;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get done(): boolean {
    return this.at >= this.bytes.length;
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  /** The next piece: where it lies. */
  next(base: Uint8Array): { from: Uint8Array; offset: number; size: number } {
    const code = this.byte();
    if (code === 0) throw new ObjectDamaged("a delta has an instruction that git does not know");
    if (code < 0x80) {
      const offset = this.at;
      this.at += code;
      return { from: this.bytes, offset, size: code };
    }
    let offset = 0;
    for (let i = 0; i < 4; i++) if ((code & (1 << i)) !== 0) offset += this.byte() * 256 ** i;
    let size = 0;
    for (let i = 0; i < 3; i++) if ((code & (16 << i)) !== 0) size += this.byte() * 256 ** i;
    return { from: base, offset, size: size === 0 ? 0x10000 : size };
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new ObjectDamaged("a delta ends too early");
    return byte;
  }
}

/** A delta that makes `target` of `base`; not always the shortest. */
export function makeDelta(base: Uint8Array, target: Uint8Array): Buffer {
  const out: number[] = [...varint(base.length), ...varint(target.length)];
  const places = blocksOf(base);
  let plain = 0;
  const insert = (to: number): void => {
    for (let from = plain; from < to; from += insertMax) {
      const bytes = Math.min(insertMax, to - from);
      out.push(bytes);
      for (let i = 0; i < bytes; i++) out.push(target[from + i] as number);
    }
  };
  for (let at = 0; at < target.length;) {
    const found = at + blockBytes <= target.length ? longest(base, target, at, places.get(hashOf(target, at)) ?? []) : null;
    if (found === null) {
      at++;
      continue;
    }
    // what came before the block is often alike too
    let { offset, size } = found;
    while (offset > 0 && at > plain && size < copyMax && base[offset - 1] === target[at - 1]) {
      offset--;
      at--;
      size++;
    }
    insert(at);
    out.push(...copy(offset, size));
    at += size;
    plain = at;
  }
  insert(target.length);
  return Buffer.from(out);
}

/** Where in the base blocks with this hash begin; so many of one hash are looked at. */
const sameMax = 8;

function blocksOf(base: Uint8Array): Map<number, number[]> {
  const places = new Map<number, number[]>();
  for (let at = 0; at + blockBytes <= base.length; at += blockBytes) {
    const hashed = hashOf(base, at);
    const same = places.get(hashed);
    if (same === undefined) places.set(hashed, [at]);
    else if (same.length < sameMax) same.push(at);
  }
  return places;
}

function hashOf(bytes: Uint8Array, at: number): number {
  let h = 0;
  for (let i = at; i < at + blockBytes; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  return h;
}

function longest(
  base: Uint8Array,
  target: Uint8Array,
  at: number,
  places: readonly number[],
): { offset: number; size: number } | null {
  let best: { offset: number; size: number } | null = null;
  for (const offset of places) {
    const most = Math.min(base.length - offset, target.length - at, copyMax);
    let size = 0;
    while (size < most && base[offset + size] === target[at + size]) size++;
    if (size >= blockBytes && size > (best?.size ?? 0)) best = { offset, size };
  }
  return best;
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 0x80);
  return [...bytes, rest];
}

function copy(offset: number, size: number): number[] {
  let code = 0x80;
  const bytes: number[] = [];
  for (let i = 0; i < 4; i++) {
    const byte = Math.floor(offset / 256 ** i) % 256;
    if (byte === 0) continue;
    code |= 1 << i;
    bytes.push(byte);
  }
  for (let i = 0; i < 2; i++) {
    const byte = Math.floor(size / 256 ** i) % 256;
    if (byte === 0) continue;
    code |= 16 << i;
    bytes.push(byte);
  }
  return [code, ...bytes];
}
