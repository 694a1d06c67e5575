/**
 * What one websocket message between members holds: a header that says from whom to whom in which cluster, and a run of
 * consensus messages under one CRC. TLS guards the way; the CRC guards against what happens before and after it.
 *
 *   0 magic u16 · 2 version u8 · 3 zero u8 · 4 cluster 8 bytes · 12 from u32 · 16 to u32 · 20 messages u32 · 24 body
 *   length u32 · 28 crc32 of all the rest u32 · 32 body
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Envelope, NodeId } from "@aether/raft/types";
import { ByteReader, ByteWriter } from "./byte-cursor.ts";
import { messageBytes, readMessage, writeMessage } from "./message-codec.ts";

const magic = 0x41e7;
const version = 1;
const headerBytes = 32;
const crcAt = 28;
/** Messages of one peer and turn are put together up to this size; a single larger one goes alone. */
export const frameBytesTarget = 1024 * 1024;
/** An append is at most 1 MiB of data and its entries' heads, which 3 MiB hold for entries of 5 bytes and more. */
export const frameBytesMax = 4 * 1024 * 1024;

/** From whom to whom. `cluster` is {@link clusterMark} of the cluster id. */
export interface Route {
  readonly cluster: Buffer;
  readonly from: NodeId;
  readonly to: NodeId;
}

export interface EncodedFrame {
  readonly bytes: Buffer;
  readonly messages: number;
}

export type DecodedFrame =
  | { readonly ok: true; readonly from: NodeId; readonly to: NodeId; readonly envelopes: readonly Envelope[] }
  | { readonly ok: false; readonly why: "short" | "magic" | "version" | "cluster" | "length" | "crc" | "body" };

/** The first 8 bytes of the cluster id's SHA-256. */
export const clusterMark = (clusterId: string): Buffer => createHash("sha256").update(clusterId).digest().subarray(0, 8);

/** As few frames as hold all envelopes in order. Entries' data is copied into them. */
export function encodeFrames(route: Route, envelopes: readonly Envelope[], targetBytes = frameBytesTarget): EncodedFrame[] {
  const frames: EncodedFrame[] = [];
  let first = 0;
  let bodyBytes = 0;
  for (let i = 0; i < envelopes.length; i++) {
    const size = messageBytes(envelopes[i]!.m);
    if (i > first && headerBytes + bodyBytes + size > targetBytes) {
      frames.push(encodeRun(route, envelopes, first, i, bodyBytes));
      first = i;
      bodyBytes = 0;
    }
    bodyBytes += size;
  }
  if (first < envelopes.length) frames.push(encodeRun(route, envelopes, first, envelopes.length, bodyBytes));
  return frames;
}

function encodeRun(route: Route, envelopes: readonly Envelope[], first: number, end: number, bodyBytes: number): EncodedFrame {
  const w = new ByteWriter(Buffer.allocUnsafe(headerBytes + bodyBytes));
  w.u16(magic);
  w.u8(version);
  w.u8(0);
  w.raw(route.cluster);
  w.u32(route.from);
  w.u32(route.to);
  w.u32(end - first);
  w.u32(bodyBytes);
  w.at = headerBytes;
  for (let i = first; i < end; i++) writeMessage(w, envelopes[i]!.term, envelopes[i]!.m);
  w.bytes.writeUInt32LE(checksum(w.bytes), crcAt);
  return { bytes: w.bytes, messages: end - first };
}

const checksum = (bytes: Buffer): number => crc32(bytes.subarray(headerBytes), crc32(bytes.subarray(0, crcAt)));

/** Never throws, whatever the bytes are. What it returns shares no memory with them. */
export function decodeFrame(bytes: Buffer, cluster: Buffer): DecodedFrame {
  if (bytes.length < headerBytes) return { ok: false, why: "short" };
  const r = new ByteReader(bytes);
  if (r.u16() !== magic) return { ok: false, why: "magic" };
  if (r.u8() !== version || r.u8() !== 0) return { ok: false, why: "version" };
  if (!r.view(8).equals(cluster)) return { ok: false, why: "cluster" };
  const from = r.u32();
  const to = r.u32();
  const messages = r.u32();
  if (r.u32() !== bytes.length - headerBytes) return { ok: false, why: "length" };
  if (r.u32() !== checksum(bytes)) return { ok: false, why: "crc" };
  const envelopes: Envelope[] = [];
  for (let i = 0; i < messages; i++) {
    const envelope = readMessage(r, from, to);
    if (envelope === null) return { ok: false, why: "body" };
    envelopes.push(envelope);
  }
  return r.left === 0 ? { ok: true, from, to, envelopes } : { ok: false, why: "body" };
}
