/**
 * Keys and small values of the log's database. `00 <letter>` for the four records about the log, `01 <first index>`
 * for blocks. Each small value carries its own CRC, because LevelDB verifies none on read.
 */
import type { EntryId, HardState, Index, Membership, SnapMeta } from "@aether/raft/types";
import { asBuffer, putInteger, seal, takeInteger, unseal } from "./bytes.ts";

/** Whom a data folder was formatted for. `clusterId` is 32 hex digits. */
export interface FolderIdentity {
  readonly clusterId: string;
  readonly nodeId: number;
}

export const formatVersion = 1;

const recordKey = (letter: string): Buffer => Buffer.from([0, letter.charCodeAt(0)]);
export const formatKey = recordKey("f");
export const hardKey = recordKey("h");
export const floorKey = recordKey("c");
export const snapKey = recordKey("s");

const blockPrefix = 1;

export function blockKey(first: Index): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = blockPrefix;
  putInteger(key, first, 1);
  return key;
}

/** The first index that a block's key names; undefined for any other key. */
export function blockOf(key: Uint8Array): Index | undefined {
  if (key.length !== 9 || key[0] !== blockPrefix) return undefined;
  const bytes = asBuffer(key);
  return bytes.readUInt32BE(1) > 0x1fffff ? undefined : takeInteger(bytes, 1);
}

/** The `h` record: the hard state, and where the log that was written with it ends. `snap` names the `s` record that belongs to it. */
export interface HardRecord {
  readonly hard: HardState;
  readonly last: EntryId;
  readonly chain: number;
  readonly snap: EntryId;
}

export function encodeHard(record: HardRecord): Buffer {
  const body = Buffer.allocUnsafe(60);
  [
    record.hard.term,
    record.hard.vote,
    record.hard.commit,
    record.last.term,
    record.last.index,
    record.snap.term,
    record.snap.index,
  ].forEach((value, at) => putInteger(body, value, at * 8));
  body.writeUInt32BE(record.chain, 56);
  return seal(body);
}

export function decodeHard(bytes: Uint8Array): HardRecord | undefined {
  const body = unseal(bytes);
  if (body?.length !== 60) return undefined;
  const at = (slot: number): number => takeInteger(body, slot * 8);
  return {
    hard: { term: at(0), vote: at(1), commit: at(2) },
    last: { term: at(3), index: at(4) },
    snap: { term: at(5), index: at(6) },
    chain: body.readUInt32BE(56),
  };
}

/** The `c` record: everything at or below `id` is forgotten; `chain` is the running CRC there. */
export interface Floor {
  readonly id: EntryId;
  readonly chain: number;
}

export function encodeFloor(floor: Floor): Buffer {
  const body = Buffer.allocUnsafe(20);
  putInteger(body, floor.id.term, 0);
  putInteger(body, floor.id.index, 8);
  body.writeUInt32BE(floor.chain, 16);
  return seal(body);
}

export function decodeFloor(bytes: Uint8Array): Floor | undefined {
  const body = unseal(bytes);
  if (body?.length !== 20) return undefined;
  return { id: { term: takeInteger(body, 0), index: takeInteger(body, 8) }, chain: body.readUInt32BE(16) };
}

export const encodeFormat = (identity: FolderIdentity): Buffer =>
  seal(Buffer.from(JSON.stringify({ format: formatVersion, clusterId: identity.clusterId, nodeId: identity.nodeId })));

export function decodeFormat(bytes: Uint8Array): (FolderIdentity & { readonly format: number }) | undefined {
  const body = unseal(bytes);
  // The CRC holds, so these are bytes that encodeFormat wrote.
  return body === undefined ? undefined : (JSON.parse(body.toString()) as FolderIdentity & { format: number });
}

export const emptyMembership: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
export const noSnapshot: SnapMeta = { id: { term: 0, index: 0 }, membership: emptyMembership, digest: "", bytes: 0 };

export const encodeSnap = (meta: SnapMeta): Buffer => seal(Buffer.from(JSON.stringify(meta)));

export function decodeSnap(bytes: Uint8Array): SnapMeta | undefined {
  const body = unseal(bytes);
  return body === undefined ? undefined : (JSON.parse(body.toString()) as SnapMeta);
}
