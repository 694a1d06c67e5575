/**
 * Values as bytes: plain msgpack maps, no shared structures, so that the same value always gives the same bytes, and
 * results that alias neither the encoder's pool nor the decoder's input.
 */
import { crc32 } from "node:zlib";
import { Packr } from "msgpackr";

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  useToJSON: false,
  copyBuffers: true,
});

/** Bytes [start, end) of `this` as text, without the detours of toString. */
export const { utf8Slice } = Buffer.prototype as unknown as {
  utf8Slice: (this: Uint8Array, start: number, end: number) => string;
};

/** Bytes of a JSON-like value (also holding Uint8Array). Fields that are undefined are left out; -0 becomes 0. */
export function packValue(value: unknown): Buffer {
  // pack() returns a slice of a pool that the next call writes over
  return Buffer.from(packr.pack(withoutUndefined(value)));
}

/** The same bytes as a view that the next call of either writes over: for who hashes or copies them at once. */
export const packView = (value: unknown): Uint8Array => packr.pack(withoutUndefined(value));

/** The value of bytes made by {@link packValue}. Throws on truncated or trailing bytes. */
export const unpackValue = (bytes: Uint8Array): unknown => packr.unpack(bytes);

/**
 * The same value with undefined fields dropped and undefined elements made null, as in JSON. Gives back the very same
 * object when there is nothing to drop, which is the usual case and costs no allocation.
 */
export function withoutUndefined(value: unknown): unknown {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    let cleaned: unknown[] | null = null;
    for (let i = 0; i < value.length; i++) {
      const item = value[i] as unknown;
      const kept = item === undefined ? null : withoutUndefined(item);
      if (kept !== item) (cleaned ??= [...(value as unknown[])])[i] = kept;
    }
    return cleaned ?? value;
  }
  const object = value as Record<string, unknown>;
  let copy: Record<string, unknown> | null = null;
  for (const key in object) {
    const field = object[key];
    const cleaned = withoutUndefined(field);
    if (cleaned === field && field !== undefined) continue;
    copy ??= { ...object };
    if (field === undefined) delete copy[key];
    else copy[key] = cleaned;
  }
  return copy ?? value;
}

/** A stored value found altered. Never repaired in place: the caller rebuilds the state or ends the process. */
export class Damaged extends Error {
  override readonly name = "Damaged";
}

export const crcBytes = 4;

/** `payload` followed by its CRC, seeded with the key, so that a value under a wrong key is noticed too. */
export function seal(key: Uint8Array, payload: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(payload.length + crcBytes);
  out.set(payload);
  out.writeUInt32BE(crc32(payload, crc32(key)), payload.length);
  return out;
}

/** The CRC a sealed value carries. */
export const sealOf = (sealed: Uint8Array): number =>
  Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength).readUInt32BE(sealed.length - crcBytes);

/** The payload of a sealed value, as a view. Throws {@link Damaged} when it does not fit its CRC. */
export function unseal(key: Uint8Array, sealed: Uint8Array): Uint8Array {
  const payload = sealed.subarray(0, Math.max(0, sealed.length - crcBytes));
  if (sealed.length < crcBytes || crc32(payload, crc32(key)) !== sealOf(sealed)) {
    throw new Damaged(`value of ${payload.length} bytes under key ${Buffer.from(key).toString("hex")} fails its checksum`);
  }
  return payload;
}
