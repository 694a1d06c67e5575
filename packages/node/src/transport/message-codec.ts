/**
 * The bytes of one consensus message: a type byte, the term, then the fields of its type. Appends carry all their
 * entries' heads first and then all data in one piece, so that a receiver copies it once, whatever their number.
 */
import type { EntryId, Entry, Envelope, Kind, Membership, Msg, NodeId, SnapMeta } from "@aether/raft/types";
import type { ByteReader, ByteWriter } from "./byte-cursor.ts";

const codes = {
  app: 1,
  appResp: 2,
  hb: 3,
  hbResp: 4,
  vote: 5,
  preVote: 6,
  voteResp: 7,
  preVoteResp: 8,
  snapOffer: 9,
  timeoutNow: 10,
  readIndex: 11,
  readIndexResp: 12,
  removed: 13,
} as const satisfies Record<Msg["t"], number>;

const headBytes = 1 + 8;
const appendHeadBytes = headBytes + 3 * 8 + 4 + 4;
const entryHeadBytes = 1 + 8 + 4;
/** Ids in one list of a membership; four times what the core allows. */
const idsMax = 128;
const digestCharsMax = 255;

/** Bytes that {@link writeMessage} will write. */
export function messageBytes(m: Msg): number {
  switch (m.t) {
    case "app": {
      let total = appendHeadBytes + m.entries.length * entryHeadBytes;
      for (const { data } of m.entries) total += data.length;
      return total;
    }
    case "appResp":
      return headBytes + 8 + 1 + (m.reject === null ? 0 : 16);
    case "hb":
      return headBytes + 16;
    case "hbResp":
    case "readIndex":
      return headBytes + 8;
    case "vote":
    case "preVote":
      return headBytes + 32 + 1;
    case "voteResp":
    case "preVoteResp":
      return headBytes + 1 + 16;
    case "snapOffer":
      return headBytes + snapMetaBytes(m.meta);
    case "readIndexResp":
      return headBytes + 16;
    case "timeoutNow":
    case "removed":
      break;
  }
  return headBytes;
}

/** Throws a RangeError on numbers that cannot be sent; the core makes none. */
export function writeMessage(w: ByteWriter, term: number, m: Msg): void {
  w.u8(codes[m.t]);
  w.safe(term);
  switch (m.t) {
    case "app":
      return writeAppend(w, m.prev, m.entries, m.commit);
    case "appResp":
      w.safe(m.index);
      w.u8(m.reject === null ? 0 : 1);
      if (m.reject !== null) writeId(w, m.reject.hint);
      return;
    case "hb":
      w.safe(m.commit);
      return w.safe(m.readPos);
    case "hbResp":
      return w.safe(m.readPos);
    case "vote":
    case "preVote":
      writeId(w, m.last);
      w.u8(m.transfer ? 1 : 0);
      return writeId(w, m.commit);
    case "voteResp":
    case "preVoteResp":
      w.u8(m.granted ? 1 : 0);
      return writeId(w, m.commit);
    case "snapOffer":
      return writeSnapMeta(w, m.meta);
    case "readIndex":
      return w.safe(m.key);
    case "readIndexResp":
      w.safe(m.key);
      return w.safe(m.index);
    case "timeoutNow":
    case "removed":
      return;
  }
}

/**
 * Null when the bytes are no message. Entries' data is copied out of the reader's buffer, all entries of one append into
 * one buffer of their own: whoever keeps them keeps nothing else, and no socket buffer is aliased.
 */
export function readMessage(r: ByteReader, from: NodeId, to: NodeId): Envelope | null {
  const code = r.u8();
  const term = r.safe();
  const m = readBody(r, code);
  return m === null || r.failed ? null : { from, to, term, m };
}

function readBody(r: ByteReader, code: number): Msg | null {
  switch (code) {
    case codes.app:
      return readAppend(r);
    case codes.appResp:
      return { t: "appResp", index: r.safe(), reject: r.flag() ? { hint: readId(r) } : null };
    case codes.hb:
      return { t: "hb", commit: r.safe(), readPos: r.safe() };
    case codes.hbResp:
      return { t: "hbResp", readPos: r.safe() };
    case codes.vote:
      return { t: "vote", last: readId(r), transfer: r.flag(), commit: readId(r) };
    case codes.preVote:
      return { t: "preVote", last: readId(r), transfer: r.flag(), commit: readId(r) };
    case codes.voteResp:
      return { t: "voteResp", granted: r.flag(), commit: readId(r) };
    case codes.preVoteResp:
      return { t: "preVoteResp", granted: r.flag(), commit: readId(r) };
    case codes.snapOffer: {
      const meta = readSnapMeta(r);
      return meta === null ? null : { t: "snapOffer", meta };
    }
    case codes.timeoutNow:
      return { t: "timeoutNow" };
    case codes.readIndex:
      return { t: "readIndex", key: r.safe() };
    case codes.readIndexResp:
      return { t: "readIndexResp", key: r.safe(), index: r.safe() };
    case codes.removed:
      return { t: "removed" };
    default:
      return null;
  }
}

function writeAppend(w: ByteWriter, prev: EntryId, entries: readonly Entry[], commit: number): void {
  writeId(w, prev);
  w.safe(commit);
  w.u32(entries.length);
  let dataBytes = 0;
  for (const { data } of entries) dataBytes += data.length;
  w.u32(dataBytes);
  let index = prev.index;
  for (const e of entries) {
    // The index is not sent: it follows from the place.
    index += 1;
    if (e.index !== index) throw new RangeError(`entry ${e.index} stands where ${index} belongs`);
    w.u8(e.kind);
    w.safe(e.term);
    w.u32(e.data.length);
  }
  for (const { data } of entries) w.raw(data);
}

function readAppend(r: ByteReader): Msg | null {
  const prev = readId(r);
  const commit = r.safe();
  const count = r.u32();
  const dataBytes = r.u32();
  const headsBytes = count * entryHeadBytes;
  if (r.failed || headsBytes + dataBytes > r.left || prev.index + count > Number.MAX_SAFE_INTEGER) return null;
  const owned = Buffer.allocUnsafe(dataBytes);
  r.bytes.copy(owned, 0, r.at + headsBytes, r.at + headsBytes + dataBytes);
  const entries: Entry[] = [];
  let at = 0;
  for (let i = 1; i <= count; i++) {
    const kind = r.u8();
    const term = r.safe();
    const length = r.u32();
    if (r.failed || kind > 2 || at + length > dataBytes) return null;
    entries.push({
      index: prev.index + i,
      term,
      kind: kind as Kind,
      data: new Uint8Array(owned.buffer, owned.byteOffset + at, length),
    });
    at += length;
  }
  if (at !== dataBytes) return null;
  r.at += dataBytes;
  return { t: "app", prev, entries, commit };
}

function writeId(w: ByteWriter, id: EntryId): void {
  w.safe(id.term);
  w.safe(id.index);
}

const readId = (r: ByteReader): EntryId => ({ term: r.safe(), index: r.safe() });

function snapMetaBytes(meta: SnapMeta): number {
  const { voters, outgoing, learners, learnersNext } = meta.membership;
  const ids = voters.length + outgoing.length + learners.length + learnersNext.length;
  return 16 + 8 + 4 * 2 + ids * 4 + 1 + 1 + meta.digest.length;
}

function writeSnapMeta(w: ByteWriter, meta: SnapMeta): void {
  const { voters, outgoing, learners, learnersNext, autoLeave } = meta.membership;
  writeId(w, meta.id);
  w.safe(meta.bytes);
  for (const list of [voters, outgoing, learners, learnersNext]) {
    if (list.length > idsMax) throw new RangeError(`${list.length} ids in a membership, at most ${idsMax}`);
    w.u16(list.length);
    for (const id of list) w.u32(id);
  }
  w.u8(autoLeave ? 1 : 0);
  if (meta.digest.length > digestCharsMax) throw new RangeError(`a digest of ${meta.digest.length} characters`);
  w.u8(meta.digest.length);
  w.raw(Buffer.from(meta.digest, "latin1"));
}

function readSnapMeta(r: ByteReader): SnapMeta | null {
  const id = readId(r);
  const bytes = r.safe();
  const lists: NodeId[][] = [];
  for (let i = 0; i < 4; i++) {
    const length = r.u16();
    if (r.failed || length > idsMax) return null;
    const ids: NodeId[] = [];
    for (let k = 0; k < length; k++) ids.push(r.u32());
    lists.push(ids);
  }
  const [voters = [], outgoing = [], learners = [], learnersNext = []] = lists;
  const membership: Membership = { voters, outgoing, learners, learnersNext, autoLeave: r.flag() };
  return { id, membership, digest: r.view(r.u8()).toString("latin1"), bytes };
}
