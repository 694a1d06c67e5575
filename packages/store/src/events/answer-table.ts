/**
 * Where remembered answers are held: in columns of numbers and in chunks of text, without an object or a string for each.
 * There are 131,072 of them at most times, and each commit brings one and drops one: as objects they were the larger part of
 * what a member's collector had to look at.
 *
 * An answer is found by its seq, through a hash of client and request id, or as its client's oldest.
 */
import { invariant } from "@aether/raft/errors";

/** A client that has answers here. Its answers form a list by age; the clients one by their latest answer. */
export class Client {
  readonly name: string;
  /** The name's share in the two hashes of each of its answers. */
  readonly hashA: number;
  readonly hashB: number;
  held = 0;
  /** Slots of its oldest and newest answer. */
  oldest = none;
  newest = none;
  /** Those that answered just before and just after it did last. */
  before: Client | null = null;
  after: Client | null = null;

  constructor(name: string) {
    this.name = name;
    const length = nameBytes.write(name);
    this.hashA = spanHash(nameBytes, 0, length, offsetA);
    this.hashB = spanHash(nameBytes, 0, length, offsetB);
  }
}

/** A request's id and its command's fingerprint, as spans of the entry or pack that they came in. */
export interface RequestText {
  readonly bytes: Uint8Array;
  readonly idAt: number;
  readonly idEnd: number;
  readonly printAt: number;
  readonly printEnd: number;
}

const none = -1;
/** Names of clients are at most 512 characters: requestCharsMax. */
const nameBytes = Buffer.alloc(4 * 1024);
const chunkAnswers = 1_024;
const chunkBytesMin = 4 * 1024;
const slotsMin = 64;

interface Chunk {
  bytes: Buffer;
  length: number;
}

export class AnswerTable {
  /** Always a power of two. */
  private slots = slotsMin;
  /** 0: the slot is free. Negative: forgotten, but still in the window and so to be written to disk. */
  private seqs = new Float64Array(slotsMin);
  private indexes = new Float64Array(slotsMin);
  private versions = new Float64Array(slotsMin);
  /** Of client and id alone: what an answer is found by. */
  private keys = new Uint32Array(slotsMin);
  private hashesA = new Uint32Array(slotsMin);
  private hashesB = new Uint32Array(slotsMin);
  private textAt = new Uint32Array(slotsMin);
  private idBytes = new Uint16Array(slotsMin);
  private printBytes = new Uint16Array(slotsMin);
  /** The same client's next newer answer. */
  private newer = new Int32Array(slotsMin);
  /** The next answer with the same place in {@link heads}. */
  private chain = new Int32Array(slotsMin);
  private heads = new Int32Array(slotsMin).fill(none);
  private owners: (Client | undefined)[] = [];
  /** What decide gave back besides; most commands give nothing. By seq. */
  private readonly extras = new Map<number, unknown>();
  /** Ids and fingerprints of 1,024 consecutive seqs each, by seq / 1,024. */
  private readonly chunks = new Map<number, Chunk>();
  private firstChunk = 0;

  /** The slot of the answer with this seq, remembered or {@link forgotten}, or -1. */
  slotOf(seq: number): number {
    const slot = seq % this.slots;
    return Math.abs(this.seqs[slot] ?? 0) === seq ? slot : none;
  }

  forgotten(slot: number): boolean {
    return (this.seqs[slot] ?? 0) < 0;
  }

  /** The slot leaves the window: nothing of it is needed any more. */
  release(slot: number): void {
    if (this.extras.size > 0) this.extras.delete(this.seqOf(slot));
    this.seqs[slot] = 0;
    this.owners[slot] = undefined;
  }

  /** Releases all. */
  clear(): void {
    this.seqs.fill(0);
    this.heads.fill(none);
    this.owners = [];
    this.extras.clear();
    this.chunks.clear();
  }

  /** The slot of the client's answer to the request whose id is the bytes from `at` to `end`, or -1. */
  find(client: Client, bytes: Uint8Array, at: number, end: number): number {
    const key = spanHash(bytes, at, end, client.hashA) >>> 0;
    let slot = this.heads[placeOf(key, this.slots)] ?? none;
    while (slot !== none) {
      if (this.keys[slot] === key && this.owners[slot] === client && this.sameId(slot, bytes, at, end)) return slot;
      slot = this.chain[slot] ?? none;
    }
    return none;
  }

  /** Puts an answer; where its slot is not free, the table grows. Returns its slot. */
  add(seq: number, client: Client, text: RequestText, index: number, version: number, extra: unknown): number {
    while (this.seqs[seq % this.slots] !== 0) this.grow();
    const slot = seq % this.slots;
    const { bytes, idAt, idEnd, printAt, printEnd } = text;
    this.seqs[slot] = seq;
    this.indexes[slot] = index;
    this.versions[slot] = version;
    hashSpan(bytes, idAt, idEnd, client.hashA, client.hashB);
    this.keys[slot] = spanA;
    hashSpan(bytes, printAt, printEnd, spanA, spanB);
    this.hashesA[slot] = numbersHash(seq, index, version, spanA);
    this.hashesB[slot] = numbersHash(seq, index, version, spanB);
    this.idBytes[slot] = idEnd - idAt;
    this.printBytes[slot] = printEnd - printAt;
    this.textAt[slot] = this.putText(seq, text);
    this.owners[slot] = client;
    if (extra !== undefined) this.extras.set(seq, extra);
    this.enterKey(slot);
    this.newer[slot] = none;
    if (client.held === 0) client.oldest = slot;
    else this.newer[client.newest] = slot;
    client.newest = slot;
    client.held++;
    return slot;
  }

  /** Forgets the oldest answer of a client; no other can be forgotten before it. */
  removeOldest(client: Client): void {
    const slot = client.oldest;
    invariant(slot !== none && this.owners[slot] === client, "a client's oldest answer is one of its own");
    client.oldest = this.newer[slot] ?? none;
    client.held--;
    if (client.held === 0) client.newest = none;
    this.leaveKey(slot);
    this.seqs[slot] = -this.seqOf(slot);
  }

  /** Nothing at or below `seq` is remembered any more: its texts may go. */
  dropTexts(seq: number): void {
    const first = Math.floor((seq + 1) / chunkAnswers);
    if (first === this.firstChunk) return;
    this.firstChunk = first;
    for (const number of this.chunks.keys()) if (number < first) this.chunks.delete(number);
  }

  ownerOf(slot: number): Client {
    const owner = this.owners[slot];
    invariant(owner !== undefined, "a slot that is taken has an owner");
    return owner;
  }

  seqOf(slot: number): number {
    return Math.abs(this.seqs[slot] ?? 0);
  }

  indexOf(slot: number): number {
    return this.indexes[slot] ?? 0;
  }

  versionOf(slot: number): number {
    return this.versions[slot] ?? 0;
  }

  extraOf(slot: number): unknown {
    return this.extras.get(this.seqOf(slot));
  }

  /** The answer's share in the digest. */
  hashA(slot: number): number {
    return this.hashesA[slot] ?? 0;
  }

  hashB(slot: number): number {
    return this.hashesB[slot] ?? 0;
  }

  /** Views, valid until the answer's chunk takes another text. */
  idOf(slot: number): Buffer {
    const { bytes, at } = this.placeOfText(slot);
    return bytes.subarray(at, at + (this.idBytes[slot] ?? 0));
  }

  fingerprintOf(slot: number): Buffer {
    const { bytes, at } = this.placeOfText(slot);
    const start = at + (this.idBytes[slot] ?? 0);
    return bytes.subarray(start, start + (this.printBytes[slot] ?? 0));
  }

  private sameId(slot: number, bytes: Uint8Array, at: number, end: number): boolean {
    if (this.idBytes[slot] !== end - at) return false;
    const held = this.placeOfText(slot);
    for (let i = at, h = held.at; i < end; i++, h++) if (held.bytes[h] !== bytes[i]) return false;
    return true;
  }

  private placeOfText(slot: number): { bytes: Buffer; at: number } {
    const chunk = this.chunks.get(Math.floor(this.seqOf(slot) / chunkAnswers));
    invariant(chunk !== undefined, "the text of a remembered answer is held");
    return { bytes: chunk.bytes, at: this.textAt[slot] ?? 0 };
  }

  private putText(seq: number, { bytes, idAt, idEnd, printAt, printEnd }: RequestText): number {
    const number = Math.floor(seq / chunkAnswers);
    let chunk = this.chunks.get(number);
    if (chunk === undefined) {
      chunk = { bytes: Buffer.alloc(chunkBytesMin), length: 0 };
      this.chunks.set(number, chunk);
    }
    const at = chunk.length;
    const end = at + (idEnd - idAt) + (printEnd - printAt);
    if (end > chunk.bytes.length) chunk.bytes = Buffer.concat([chunk.bytes], Math.max(end, 2 * chunk.bytes.length));
    // a loop: for so few bytes it costs less than two views to copy between
    const held = chunk.bytes;
    let to = at;
    for (let i = idAt; i < idEnd; i++) held[to++] = bytes[i] as number;
    for (let i = printAt; i < printEnd; i++) held[to++] = bytes[i] as number;
    chunk.length = end;
    return at;
  }

  private enterKey(slot: number): void {
    const place = placeOf(this.keys[slot] ?? 0, this.slots);
    this.chain[slot] = this.heads[place] ?? none;
    this.heads[place] = slot;
  }

  private leaveKey(slot: number): void {
    const place = placeOf(this.keys[slot] ?? 0, this.slots);
    const next = this.chain[slot] ?? none;
    let at = this.heads[place] ?? none;
    if (at === slot) {
      this.heads[place] = next;
      return;
    }
    while (this.chain[at] !== slot) {
      invariant(at !== none, "a remembered answer can be found");
      at = this.chain[at] ?? none;
    }
    this.chain[at] = next;
  }

  /** Twice the slots: an answer's new slot is its old one, or as far beyond the old end. */
  private grow(): void {
    const old = this.slots;
    const slots = 2 * old;
    const moved = (slot: number): number => (slot === none ? none : this.seqOf(slot) % slots);
    const clients = new Set<Client>();
    const newer = new Int32Array(slots);
    for (let slot = 0; slot < old; slot++) {
      const owner = this.owners[slot];
      if (owner === undefined || this.forgotten(slot)) continue;
      clients.add(owner);
      newer[moved(slot)] = slot === owner.newest ? none : moved(this.newer[slot] ?? none);
    }
    for (const client of clients) {
      client.oldest = moved(client.oldest);
      client.newest = moved(client.newest);
    }
    const spread = <T extends Float64Array | Uint32Array | Uint16Array>(from: T, into: T): T => {
      for (let slot = 0; slot < old; slot++) if (this.seqs[slot] !== 0) into[moved(slot)] = from[slot] as number;
      return into;
    };
    const owners: (Client | undefined)[] = Array.from({ length: slots }, () => undefined);
    for (let slot = 0; slot < old; slot++) if (this.seqs[slot] !== 0) owners[moved(slot)] = this.owners[slot];
    this.indexes = spread(this.indexes, new Float64Array(slots));
    this.versions = spread(this.versions, new Float64Array(slots));
    this.keys = spread(this.keys, new Uint32Array(slots));
    this.hashesA = spread(this.hashesA, new Uint32Array(slots));
    this.hashesB = spread(this.hashesB, new Uint32Array(slots));
    this.textAt = spread(this.textAt, new Uint32Array(slots));
    this.idBytes = spread(this.idBytes, new Uint16Array(slots));
    this.printBytes = spread(this.printBytes, new Uint16Array(slots));
    this.seqs = spread(this.seqs, new Float64Array(slots));
    this.newer = newer;
    this.owners = owners;
    this.slots = slots;
    this.chain = new Int32Array(slots);
    this.heads = new Int32Array(slots).fill(none);
    for (let slot = 0; slot < slots; slot++) if ((this.seqs[slot] ?? 0) > 0) this.enterKey(slot);
  }
}

/** FNV's low bits are its best; the high ones are folded in all the same. */
const placeOf = (key: number, slots: number): number => (key ^ (key >>> 15)) & (slots - 1);

const fnvPrime = 0x01000193;
const offsetA = 0x811c9dc5;
const offsetB = 0x2f0b4c47;

/** FNV-1a over bytes and their number, 32 bits, signed: guards against members drifting apart, not against an adversary (the chain does). */
function spanHash(bytes: Uint8Array, at: number, end: number, seed: number): number {
  let h = Math.imul(seed ^ (end - at), fnvPrime);
  for (let i = at; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), fnvPrime);
  return h;
}

/** What {@link hashSpan} found last. */
let spanA = 0;
let spanB = 0;

/** {@link spanHash} with two seeds at once: each waits for its own multiplications only. */
function hashSpan(bytes: Uint8Array, at: number, end: number, seedA: number, seedB: number): void {
  let a = Math.imul(seedA ^ (end - at), fnvPrime);
  let b = Math.imul(seedB ^ (end - at), fnvPrime);
  for (let i = at; i < end; i++) {
    const byte = bytes[i] as number;
    a = Math.imul(a ^ byte, fnvPrime);
    b = Math.imul(b ^ byte, fnvPrime);
  }
  spanA = a;
  spanB = b;
}

/** The same over the two 32-bit halves of each of three safe integers. */
function numbersHash(seq: number, index: number, version: number, seed: number): number {
  return numberHash(version, numberHash(index, numberHash(seq, seed)));
}

const numberHash = (value: number, seed: number): number =>
  Math.imul(Math.imul(seed ^ (value % 2 ** 32), fnvPrime) ^ (value / 2 ** 32), fnvPrime);
