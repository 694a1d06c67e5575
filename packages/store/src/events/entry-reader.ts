/**
 * An entry as applying it needs it: the same as decodeCurrent of entry-codec.ts gives, in a third of the time, because every
 * member reads every entry and a restart reads them all again.
 *
 * It knows the msgpack that encodeEntry writes. Words that come again and again (keys, types, names, ids) are looked up
 * by their bytes instead of being made anew, and a request's id and fingerprint stay the bytes they are. Whatever it does
 * not know, or that is no whole entry, goes to the general decoder, which has the last word on what an entry is.
 */
import type { DomainEvent, Identity } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import { decodeCurrent, entryFormat } from "./entry-codec.ts";
import type { NewAnswer } from "./sessions.ts";
import { unpackValue, utf8Slice } from "./value-codec.ts";

export interface ReadEntry {
  readonly at: number;
  readonly actor: Identity;
  readonly cause: string;
  /** The answer to remember; its bytes are a view of the entry's. */
  readonly request: NewAnswer | null;
  /** In their current version. */
  readonly events: readonly DomainEvent[];
}

/** Throws what decodeCurrent throws, for the same bytes. */
export function readEntry(data: Uint8Array, registry: Registry): ReadEntry {
  source = data;
  at = 0;
  texts = 0;
  unusual = false;
  const read = readEnvelope(registry);
  if (unusual || read === null || at !== data.length) return generalEntry(data, registry);
  return read;
}

/** The value of bytes made by packValue, as unpackValue gives it. For rows, of which a start reads every one. */
export function readPacked(bytes: Uint8Array): unknown {
  source = bytes;
  at = 0;
  texts = 0;
  unusual = false;
  const value = readValue();
  return unusual || at !== bytes.length ? unpackValue(bytes) : value;
}

let source: Uint8Array = new Uint8Array();
let at = 0;
/** Texts read of the entry so far. */
let texts = 0;
/** Something was met that only the general decoder knows. What was read until then is dropped. */
let unusual = false;

function readEnvelope(registry: Registry): ReadEntry | null {
  // a tuple of seven, the first of which is the format
  if (source[0] !== 0x97 || source[1] !== entryFormat) return null;
  at = 2;
  const time = readValue();
  const name = readValue();
  const role = readValue();
  const cause = readValue();
  if (typeof time !== "number" || typeof name !== "string" || typeof cause !== "string") return null;
  const request = source[at] === 0xc0 ? skipNull() : readRequest();
  const events = readValue();
  if (unusual || !Number.isSafeInteger(time) || !Array.isArray(events)) return null;
  for (let i = 0; i < events.length; i++) events[i] = registry.upcast(events[i] as DomainEvent);
  // entries that follow each other are often of the same actor
  if (name !== lastActor.name || role !== lastActor.role) lastActor = { name, role: role as Identity["role"] };
  return { at: time, actor: lastActor, cause, request, events: events as DomainEvent[] };
}

let lastActor: Identity = { name: "", role: "viewer" };

function skipNull(): null {
  at++;
  return null;
}

function readRequest(): NewAnswer | null {
  const fields = (source[at++] ?? 0) - 0x90;
  if (fields !== 4 && fields !== 5) return giveUp();
  const client = readValue();
  const idEnd = spanEnd();
  const idAt = at;
  at = idEnd;
  const printEnd = spanEnd();
  const printAt = at;
  at = printEnd;
  const version = readValue();
  const answer = fields === 5 ? readValue() : undefined;
  if (typeof client !== "string" || typeof version !== "number") return giveUp();
  return { client, bytes: source, idAt, idEnd, printAt, printEnd, version, answer: answer ?? undefined };
}

/** Reads the head of a text and gives where the text ends. */
function spanEnd(): number {
  const tag = source[at++] ?? 0;
  if (tag >= 0xa0 && tag <= 0xbf) return at + tag - 0xa0;
  if (tag === 0xd9) return readUnsigned(1) + at;
  if (tag === 0xda) return readUnsigned(2) + at;
  giveUp();
  return source.length;
}

function giveUp(): null {
  unusual = true;
  at = source.length;
  return null;
}

/** One value. Past the end every tag is missing, so that a cut entry ends the reading and not the memory. */
function readValue(): unknown {
  const tag = source[at++];
  if (tag === undefined) return giveUp();
  if (tag < 0x80) return tag;
  if (tag < 0x90) return readMap(tag - 0x80);
  if (tag < 0xa0) return readList(tag - 0x90);
  if (tag < 0xc0) return readText(tag - 0xa0);
  if (tag >= 0xe0) return tag - 0x100;
  switch (tag) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return readDouble();
    case 0xcc:
      return readUnsigned(1);
    case 0xcd:
      return readUnsigned(2);
    case 0xce:
      return readUnsigned(4);
    case 0xd0:
      return (readUnsigned(1) << 24) >> 24;
    case 0xd1:
      return (readUnsigned(2) << 16) >> 16;
    case 0xd2:
      return readUnsigned(4) | 0;
    case 0xd9:
      return readText(readUnsigned(1));
    case 0xda:
      return readText(readUnsigned(2));
    case 0xdb:
      return readText(readUnsigned(4));
    case 0xdc:
      return readList(readUnsigned(2));
    case 0xde:
      return readMap(readUnsigned(2));
    default:
      return giveUp();
  }
}

function readUnsigned(bytes: 1 | 2 | 4): number {
  let value = 0;
  for (let i = 0; i < bytes; i++) value = value * 256 + (source[at++] ?? 0);
  return value;
}

const double = new DataView(new ArrayBuffer(8));

function readDouble(): number {
  for (let i = 0; i < 8; i++) double.setUint8(i, source[at++] ?? 0);
  return double.getFloat64(0);
}

function readList(length: number): unknown[] {
  // most entries are of one event, and a list that grows takes room for many
  if (length === 1) return [readValue()];
  const list: unknown[] = [];
  for (let i = 0; i < length && !unusual; i++) list.push(readValue());
  return list;
}

function readMap(length: number): unknown {
  const map: Record<string, unknown> = {};
  for (let i = 0; i < length && !unusual; i++) {
    const key = readName();
    // a plain assignment would set the object's prototype
    if (typeof key !== "string" || key === "__proto__") return giveUp();
    map[key] = key === "type" ? readName() : readValue();
  }
  return map;
}

/** Words up to this length are looked up; longer ones are hardly ever the same again. */
const wordBytes = 40;
const wordPlaces = 2 ** 15;
/** The last word seen twice in a row at each place; as many strings as there are places, of at most {@link wordBytes} characters. */
const words: string[] = Array.from({ length: wordPlaces }, () => "");
/**
 * The hash of what was seen last at each place. Of ids there may be more than places: what comes for the first time is told from
 * it, without a look at a string that lies anywhere in memory, and does not drive out a word that comes again.
 */
const hashes = new Int32Array(wordPlaces);
/**
 * The first texts of the entry before, each with its bytes: entries that follow each other are alike, so the text at the same place is
 * mostly the same and one comparison finds it.
 */
const alikePlaces = 64;
const alike: string[] = Array.from({ length: alikePlaces }, () => "");
const alikeBytes = new Uint8Array(alikePlaces * wordBytes);
/** -1 where there is none. */
const alikeLengths = new Int8Array(alikePlaces).fill(-1);
/** Half of a surrogate pair is written as it is in texts of less than 64 characters, which take at most this; UTF-8 has no such thing. */
const halvesBytes = 192;
const halfLead = 0xed;

function readText(length: number): unknown {
  const bytes = source;
  const start = at;
  const end = start + length;
  if (end > bytes.length) return giveUp();
  at = end;
  const place = texts++;
  if (length > wordBytes) {
    if (length <= halvesBytes) for (let i = start; i < end; i++) if (bytes[i] === halfLead) return giveUp();
    return utf8Slice.call(bytes, start, end);
  }
  if (isAlike(place, bytes, start, length)) return alike[place];
  const word = readWord(bytes, start, end);
  if (word === null) return giveUp();
  remember(place, word, bytes, start, end);
  return word;
}

function isAlike(place: number, bytes: Uint8Array, start: number, length: number): boolean {
  if (alikeLengths[place] !== length) return false;
  const held = alikeBytes;
  // from the end, where numbered names differ
  for (let i = start + length - 1, h = place * wordBytes + length - 1; i >= start; i--, h--)
    if (bytes[i] !== held[h]) return false;
  return true;
}

function remember(place: number, word: string, bytes: Uint8Array, start: number, end: number): void {
  if (place >= alikePlaces) return;
  alike[place] = word;
  alikeLengths[place] = end - start;
  for (let i = start, h = place * wordBytes; i < end; i++, h++) alikeBytes[h] = bytes[i] as number;
}

/** Null for a text that only the general decoder knows. */
function readWord(bytes: Uint8Array, start: number, end: number): string | null {
  let h = end - start;
  for (let i = start; i < end; i++) {
    const byte = bytes[i] as number;
    if (byte === halfLead) return null;
    h = Math.imul(h ^ byte, 0x01000193);
  }
  const place = (h ^ (h >>> 15)) & (wordPlaces - 1);
  if (hashes[place] !== h) {
    hashes[place] = h;
    return utf8Slice.call(bytes, start, end);
  }
  const word = words[place] as string;
  if (isWord(word, bytes, start, end)) return word;
  const text = utf8Slice.call(bytes, start, end);
  words[place] = text;
  return text;
}

/** True when the bytes are the word: only of ASCII, where one byte is one character. */
function isWord(word: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let i = end - 1; i >= start; i--) {
    const byte = bytes[i] as number;
    if (byte >= 0x80 || word.charCodeAt(i - start) !== byte) return false;
  }
  return true;
}

/** A text of which there are few, as one that V8 tells apart by its address: keys and types are looked up again and again. */
function readName(): unknown {
  const tag = source[at] ?? 0;
  const length = tag - 0xa0;
  if (length < 0 || length > 0x1f) return readValue();
  at++;
  if (at + length <= source.length && isAlike(texts, source, at, length)) {
    at += length;
    return alike[texts++];
  }
  const start = at;
  const place = texts;
  const text = readText(length);
  if (typeof text !== "string") return text;
  const name = Object.keys({ [text]: 0 })[0] as string;
  remember(place, name, source, start, at);
  return name;
}

function generalEntry(data: Uint8Array, registry: Registry): ReadEntry {
  const { at: time, actor, cause, request, events } = decodeCurrent(data, registry);
  if (request === null) return { at: time, actor, cause, request, events };
  const { client, id, fingerprint, version, answer } = request;
  const idBytes = Buffer.from(id);
  const bytes = Buffer.concat([idBytes, Buffer.from(fingerprint)]);
  const spans = { idAt: 0, idEnd: idBytes.length, printAt: idBytes.length, printEnd: bytes.length };
  return { at: time, actor, cause, request: { client, bytes, ...spans, version, answer: answer ?? undefined }, events };
}
