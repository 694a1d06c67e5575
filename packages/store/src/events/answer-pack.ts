/**
 * Remembered answers as bytes: what the disk and snapshots hold. Per answer, all numbers as varints:
 *
 * distance of its seq to the one before (for the first: to the pack's first) · client (its number in the pack, or the next free
 * number, then length and name) · length and bytes of the id · length and bytes of the fingerprint · distance of its index to the
 * one before (for the first: the index) · version · length and bytes (msgpack) of what decide gave back, 0 for nothing
 */
import { invariant } from "@aether/raft/errors";
import type { AnswerTable, Client } from "./answer-table.ts";
import type { NewAnswer } from "./sessions.ts";
import { ByteReader, ByteWriter } from "./varint.ts";
import { packValue, unpackValue } from "./value-codec.ts";

const writer = new ByteWriter();

/** The answers with seqs from `first` to `last` that are in the table, forgotten ones too; no bytes when there are none. */
export function packAnswers(table: AnswerTable, first: number, last: number): Buffer {
  writer.clear();
  const clients = new Map<Client, number>();
  let lastSeq = first;
  let lastIndex = 0;
  for (let seq = first; seq <= last; seq++) {
    const slot = table.slotOf(seq);
    if (slot < 0) continue;
    const client = table.ownerOf(slot);
    const number = clients.get(client) ?? clients.size;
    writer.number(seq - lastSeq);
    writer.number(number);
    if (number === clients.size) {
      clients.set(client, number);
      writer.bytes(Buffer.from(client.name));
    }
    writer.bytes(table.idOf(slot));
    writer.bytes(table.fingerprintOf(slot));
    writer.number(table.indexOf(slot) - lastIndex);
    writer.number(table.versionOf(slot));
    const extra = table.extraOf(slot);
    if (extra === undefined) writer.number(0);
    else writer.bytes(packValue(extra));
    lastSeq = seq;
    lastIndex = table.indexOf(slot);
  }
  return writer.copy();
}

/** Gives the answers of a pack one by one; what `each` gets is valid during the call. Throws on bytes that are no pack. */
export function readAnswers(
  first: number,
  bytes: Uint8Array,
  each: (seq: number, index: number, answer: NewAnswer) => void,
): void {
  const reader = new ByteReader(bytes);
  const clients: string[] = [];
  let seq = first;
  let index = 0;
  while (!reader.done) {
    seq += reader.number();
    const number = reader.number();
    if (number === clients.length) clients.push(reader.text(reader.number()));
    const client = clients[number];
    invariant(client !== undefined, "a pack names a client before it numbers it");
    const idEnd = reader.number() + reader.at;
    const idAt = reader.skipTo(idEnd);
    const printEnd = reader.number() + reader.at;
    const printAt = reader.skipTo(printEnd);
    index += reader.number();
    const version = reader.number();
    const extraEnd = reader.number() + reader.at;
    const extraAt = reader.skipTo(extraEnd);
    const answer = extraEnd === extraAt ? undefined : unpackValue(bytes.subarray(extraAt, extraEnd));
    each(seq, index, { client, bytes, idAt, idEnd, printAt, printEnd, version, answer });
  }
}
