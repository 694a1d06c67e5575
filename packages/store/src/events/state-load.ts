/** Reads a state back: from its own folder, or from another member's snapshot. Every byte is checked on the way in. */
import type { DomainEvent } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import { AppliedState } from "./applied-state.ts";
import { AuditTrail } from "./audit-chain.ts";
import { Rows } from "./rows.ts";
import type { RowSums } from "./rows.ts";
import { Sessions, sessionLimits } from "./sessions.ts";
import { noPacks } from "./pack-list.ts";
import type { Packs } from "./pack-list.ts";
import { bareKey, generationMax, generationRange, keyNumber, kindRange, metaKey, parseRowKey } from "./state-db.ts";
import type { StateDb, StateOp } from "./state-db.ts";
import { SumKeeper, decodeMeta, emptyDisk } from "./state-meta.ts";
import type { StateHead, StateMeta } from "./state-meta.ts";
import { Damaged, sealOf, unseal } from "./value-codec.ts";

/** Rows hashed in one step: a millisecond or so. */
const stepRows = 256;

/** Collects rows and answers in key order and makes a state of them. */
export class StateLoader {
  readonly disk = new SumKeeper(emptyDisk);
  readonly packs: Packs = noPacks();
  private readonly registry: Registry;
  private readonly rows: Rows;
  private readonly sessions = new Sessions(sessionLimits);
  private readonly summed: boolean;

  /** `sums` null: the rows' sums are computed from the rows, as is right for data from elsewhere. */
  constructor(registry: Registry, sums: RowSums | null) {
    this.registry = registry;
    this.rows = new Rows(
      registry.nouns.map((n) => n.name),
      sums,
    );
    this.summed = sums !== null;
  }

  /**
   * Takes one record. Throws Damaged when its seal does not fit, and when it does but the record contradicts those before it: each
   * may be whole, and some of them of another moment.
   */
  take(bare: Uint8Array, sealed: Uint8Array): void {
    const payload = unseal(bare, sealed);
    const crc = sealOf(sealed);
    this.disk.add(crc);
    const kind = String.fromCharCode(bare[0] ?? 0);
    if (kind === "r") {
      const [noun, id] = parseRowKey(bare);
      if (this.registry.noun(noun) === undefined)
        throw new Error(`rows of noun ${noun}, which this build does not know: use a newer build`);
      this.rows.load(noun, id, payload, crc, this.summed);
    } else if (kind === "s" || kind === "h" || kind === "c") this.takePack(kind, keyNumber(bare), payload, crc);
  }

  /** Hashes some of the rows that the sums still lack; false when there are none. {@link finish} would leave them all to one long turn. */
  settleSome(): boolean {
    if (this.rows.staleCount === 0) return false;
    this.rows.settleSome(stepRows);
    return true;
  }

  private takePack(kind: keyof Packs, first: number, payload: Uint8Array, crc: number): void {
    try {
      this.packs[kind].add(first, crc);
      if (kind === "s") this.sessions.restore(first, payload);
    } catch (error) {
      // what breaks a rule here came from the disk or from another member, not from this process
      throw new Damaged(`pack ${kind} ${first} does not follow those before it: ${(error as Error).message}`, { cause: error });
    }
  }

  finish(head: StateHead, isCheckpoint: (e: DomainEvent) => boolean): AppliedState {
    this.sessions.skipTo(head.sessionSeq);
    return new AppliedState(this.registry, isCheckpoint, {
      rows: this.rows,
      sessions: this.sessions,
      trail: new AuditTrail(head.chainFirst, head.chainBase, head.applied.index, head.chain),
      applied: head.applied,
      membership: head.membership,
      at: head.at,
      checkpoints: head.checkpoints,
    });
  }
}

export interface Loaded {
  readonly state: AppliedState;
  readonly meta: StateMeta;
  readonly packs: Packs;
}

/**
 * The state in `db`, or null when nothing was ever written there. Leftovers of an interrupted restore are removed.
 * Throws Damaged when any record is altered, missing, too many or out of order.
 */
export async function loadState(
  db: StateDb,
  registry: Registry,
  isCheckpoint: (e: DomainEvent) => boolean,
): Promise<Loaded | null> {
  const sealed = await db.get(metaKey);
  if (sealed === undefined) {
    if ((await db.last(generationRange(0, generationMax))) === undefined) return null;
    throw new Damaged("there are records, and none that says which entry they are of");
  }
  const meta = decodeMeta(sealed);
  await db.clear(generationRange(0, meta.generation));
  await dropUnfinished(db, meta.generation + 1);
  const loader = new StateLoader(registry, meta.sums);
  for (const kind of ["c", "h", "s", "r"] as const) {
    for await (const page of db.scan(kindRange(meta.generation, kind))) {
      for (const [key, value] of page) loader.take(bareKey(key), value);
    }
  }
  const { keys, sum } = loader.disk.value;
  if (keys !== meta.disk.keys || sum !== meta.disk.sum) {
    throw new Damaged(
      `${keys} records with sum ${sum} where the flush at ${meta.applied.index} left ${meta.disk.keys} with ${meta.disk.sum}`,
    );
  }
  const state = loader.finish(meta, isCheckpoint);
  if (state.digest().digest !== meta.digest)
    throw new Damaged(`the state at ${meta.applied.index} does not have the digest it was flushed with`);
  return { state, meta, packs: loader.packs };
}

const dropKeys = 8_192;

/**
 * Removes what a restore that was cut off has left, for good: the next one uses the same generation. A range that is merely
 * cleared can be back after a crash, though synced writes followed, and would lie among that one's records.
 */
async function dropUnfinished(db: StateDb, generation: number): Promise<void> {
  let ops: StateOp[] = [];
  for await (const page of db.scan(generationRange(generation, generationMax))) {
    for (const [key] of page) ops.push({ type: "del", key });
    if (ops.length < dropKeys) continue;
    await db.write(ops);
    ops = [];
  }
  if (ops.length > 0) await db.write(ops);
}
