/**
 * A state as a stream of records, and back. The records carry the sealed rows and answers as they lie on disk, so that
 * sending costs no decoding and receiving checks every one of them.
 *
 * First record: `h` + the head. Then any number of `p` + pairs (u32 key length, key, u32 value length, value). Last: `e` + count of pairs.
 */
import type { DomainEvent } from "@aether/core/kernel/event";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { Registry } from "@aether/core/kernel/registry";
import { invariant } from "@aether/raft/errors";
import type { SnapMeta } from "@aether/raft/types";
import type { Pace } from "../pace.ts";
import type { AppliedState } from "./applied-state.ts";
import { bareKey, generationMax, generationRange, kindRange, metaKey, withGeneration } from "./state-db.ts";
import type { StateOp, StateView } from "./state-db.ts";
import type { StateDisk } from "./state-disk.ts";
import { StateLoader } from "./state-load.ts";
import { checkFormat, encodeMeta } from "./state-meta.ts";
import type { StateHead, StateMeta } from "./state-meta.ts";
import { Damaged, packValue, unpackValue, unseal } from "./value-codec.ts";

const recordBytes = 64 * 1024;
const writeBytes = 1024 * 1024;

/**
 * The records of a frozen state with so many packs of answers; `view` stays the caller's to close. Throws Damaged when what is read is
 * not what was written: whoever were sent it could not load it, and would have given up its own state for it by then.
 */
export async function* snapshotRecords(meta: StateMeta, answerPacks: number, view: StateView): AsyncIterable<Uint8Array> {
  const { generation, disk: _disk, ...head } = meta;
  yield tagged("h", packValue(head));
  let pairs = 0;
  for (const [kind, held] of [
    ["s", answerPacks],
    ["r", meta.sums.count],
  ] as const) {
    const before = pairs;
    let parts: Buffer[] = [];
    let bytes = 0;
    for await (const page of view.scan(kindRange(generation, kind))) {
      for (const [key, value] of page) {
        unseal(bareKey(key), value);
        parts.push(framed(bareKey(key)), framed(value));
        bytes += key.length + value.length;
        pairs++;
        if (bytes < recordBytes) continue;
        yield tagged("p", ...parts);
        parts = [];
        bytes = 0;
      }
    }
    if (parts.length > 0) yield tagged("p", ...parts);
    if (pairs - before !== held)
      throw new Damaged(`${pairs - before} records of kind ${kind} at ${meta.applied.index}, where ${held} were written`);
  }
  yield tagged("e", packValue(pairs));
}

/**
 * Loads a snapshot beside the present state and switches to it with one write: a crash at any point leaves the old state
 * or the new one. Throws Damaged when the records do not add up to `m.digest`.
 */
export function restoreSnapshot(
  disk: StateDisk,
  m: SnapMeta,
  records: AsyncIterable<Uint8Array>,
  registry: Registry,
  isCheckpoint: (e: DomainEvent) => boolean,
  pace: Pace,
): Promise<AppliedState> {
  return disk.exclusive(async () => {
    const old = disk.generation;
    const generation = old + 1;
    invariant(generation < generationMax, "generations of keys do not run out");
    // the first to come may find a folder that was never written: records without `meta` are taken for damaged at open
    await disk.writeMeta();
    const loader = new StateLoader(registry, null);
    const sent = await loadRecords(records, loader, disk, generation, pace);
    const head: StateHead = { ...sent, membership: m.membership, chainFirst: m.id.index + 1, chainBase: sent.chain };
    const state = loader.finish(head, isCheckpoint);
    const { index, digest } = state.digest();
    if (index !== m.id.index || digest !== m.digest) {
      throw new Damaged(`snapshot at ${m.id.index} should have digest ${m.digest}, its records have ${digest} at ${index}`);
    }
    const meta: StateMeta = { ...head, sums: state.rows.settle(), generation, disk: loader.disk.value };
    await failpoints.at?.("beforeRestoreSwitch");
    await disk.db.write([{ type: "put", key: metaKey, value: encodeMeta(meta) }]);
    await failpoints.at?.("afterRestoreSwitch");
    disk.adopt(meta, loader.packs);
    await disk.db.clear(generationRange(old, generation));
    return state;
  });
}

/**
 * Every write is synced: LevelDB may lose an unsynced write that a later synced one seems to cover. After each record others have their
 * turn: this member may be one of just enough, and a million rows take many seconds.
 */
async function loadRecords(
  records: AsyncIterable<Uint8Array>,
  loader: StateLoader,
  disk: StateDisk,
  generation: number,
  pace: Pace,
): Promise<StateHead> {
  let head: StateHead | null = null;
  let end: number | null = null;
  let pairs = 0;
  let ops: StateOp[] = [];
  let bytes = 0;
  for await (const record of records) {
    const tag = String.fromCharCode(record[0] ?? 0);
    const body = record.subarray(1);
    if (tag === "h") head = unpackValue(body) as StateHead;
    else if (tag === "e") end = unpackValue(body) as number;
    else {
      for (const [bare, value] of unframe(body)) {
        loader.take(bare, value);
        ops.push({ type: "put", key: withGeneration(generation, bare), value });
        bytes += value.length;
        pairs++;
      }
    }
    while (loader.settleSome()) await disk.othersTurn();
    if (bytes < writeBytes) continue;
    await disk.db.write(ops);
    await pace.rest();
    ops = [];
    bytes = 0;
  }
  if (ops.length > 0) await disk.db.write(ops);
  if (head === null || end !== pairs) throw new Damaged(`snapshot of ${pairs} records that should have ${String(end)}`);
  checkFormat(head.format, "snapshot");
  return head;
}

const tagged = (tag: string, ...parts: Buffer[]): Uint8Array => Buffer.concat([Buffer.from(tag), ...parts]);

function framed(bytes: Uint8Array): Buffer {
  const out = Buffer.allocUnsafe(4 + bytes.length);
  out.writeUInt32BE(bytes.length, 0);
  out.set(bytes, 4);
  return out;
}

function* unframe(body: Uint8Array): Iterable<readonly [bare: Uint8Array, value: Uint8Array]> {
  const buffer = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let at = 0;
  const next = (): Buffer => {
    const end = at + 4 + buffer.readUInt32BE(at);
    if (end > buffer.length) throw new Damaged("snapshot record ends early");
    const part = buffer.subarray(at + 4, end);
    at = end;
    return part;
  };
  while (at < buffer.length) yield [next(), next()];
}
