/**
 * The guard: a few bytes outside LevelDB that say how much of the log was once durable. LevelDB can come back from a
 * damaged disk shorter and without an error; the guard is what such a log is measured against. It always trails the
 * log (the log's batch is synced first), so a log that is behind its guard has lost something it had promised.
 */
import { crc32 } from "node:zlib";
import type { EntryId, Index, NodeId, Term } from "@aether/raft/types";
import { asBuffer, putInteger, seal, takeInteger, unseal } from "./bytes.ts";
import type { FolderIdentity } from "./keys.ts";
import { type GuardFile, guardSlotBytes, type LogClock } from "./ports.ts";

/** `chain` is the running CRC at `last`. */
export interface Guard {
  readonly term: Term;
  readonly vote: NodeId;
  readonly last: EntryId;
  readonly chain: number;
}

/** `owner` ties the bytes to one member, so that a guard file from another folder is recognised. */
export const guardOwner = (identity: FolderIdentity): number => crc32(`${identity.clusterId}/${identity.nodeId}`);

export interface Slot {
  readonly seq: number;
  readonly owner: number;
  readonly guard: Guard;
}

const bodyBytes = 48;

export function encodeGuard(seq: number, owner: number, guard: Guard): Buffer {
  const body = Buffer.alloc(bodyBytes);
  [seq, guard.term, guard.vote, guard.last.term, guard.last.index].forEach((value, at) => putInteger(body, value, at * 8));
  body.writeUInt32BE(guard.chain, 40);
  body.writeUInt32BE(owner, 44);
  const slot = Buffer.alloc(guardSlotBytes);
  slot.set(seal(body));
  return slot;
}

function decodeGuard(bytes: Uint8Array): Slot | undefined {
  const body = unseal(asBuffer(bytes).subarray(0, 4 + bodyBytes));
  if (body?.length !== bodyBytes) return undefined;
  const at = (slot: number): number => takeInteger(body, slot * 8);
  const guard = { term: at(1), vote: at(2), last: { term: at(3), index: at(4) }, chain: body.readUInt32BE(40) };
  return { seq: at(0), owner: body.readUInt32BE(44), guard };
}

/** The newest whole slot. A torn slot was never relied upon: its write had not finished. */
export async function readGuard(file: GuardFile): Promise<Slot | undefined> {
  const slots = [decodeGuard(await file.read(0)), decodeGuard(await file.read(1))].filter((slot) => slot !== undefined);
  return slots.toSorted((a, b) => b.seq - a.seq)[0];
}

export interface GuardPace {
  /** The guard trails a growing log by at most this much, unless its own write takes longer. */
  readonly everyMs: number;
  readonly everyEntries: number;
}

/** Writes the guard, one write at a time, into alternating slots. Tells `onFailed` once; afterwards every call rejects. */
export class GuardWriter {
  readonly #file: GuardFile;
  readonly #owner: number;
  readonly #clock: LogClock;
  readonly #pace: GuardPace;
  readonly #onFailed: (e: Error) => void;
  #seq: number;
  /** The newest guard handed to the file; durable once `#writing` is settled. */
  #newest: Guard;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #writtenAt: number;
  #cancelTimer: (() => void) | null = null;

  constructor(
    port: { readonly file: GuardFile; readonly clock: LogClock; readonly pace: GuardPace; readonly onFailed: (e: Error) => void },
    owner: number,
    found: { readonly seq: number; readonly guard: Guard },
  ) {
    this.#file = port.file;
    this.#clock = port.clock;
    this.#pace = port.pace;
    this.#onFailed = port.onFailed;
    this.#owner = owner;
    this.#seq = found.seq;
    this.#newest = found.guard;
    this.#writtenAt = this.#clock.now();
  }

  get newest(): Guard {
    return this.#newest;
  }

  /** Durable when it resolves. */
  write(guard: Guard): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#newest = guard;
    this.#seq++;
    const bytes = encodeGuard(this.#seq, this.#owner, guard);
    const slot = this.#seq % 2 === 0 ? 0 : 1;
    this.#writing = this.#writing.then(() => this.#put(slot, bytes));
    return this.#writing;
  }

  /**
   * The log has grown to `last`: write soon, beside whatever else goes on. `now` is asked for the guard when the time has
   * come; it answers null when the log is dead.
   */
  follow(last: Index, now: () => Guard | null): void {
    const due = this.#writtenAt + this.#pace.everyMs - this.#clock.now();
    const far = last - this.#newest.last.index >= this.#pace.everyEntries;
    if (!this.#busy && (due <= 0 || far)) this.#writeAside(now());
    else this.#cancelTimer ??= this.#clock.after(Math.max(due, 1), () => this.#onTimer(now));
  }

  /** Waits for the write under way and stops the timer: until the next call, nothing is written. */
  async settle(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    await this.#writing;
  }

  async close(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    await this.#writing.catch(() => undefined);
    await this.#file.close();
  }

  #onTimer(now: () => Guard | null): void {
    this.#cancelTimer = null;
    if (this.#busy) this.#cancelTimer = this.#clock.after(this.#pace.everyMs, () => this.#onTimer(now));
    else this.#writeAside(now());
  }

  #writeAside(guard: Guard | null): void {
    if (guard === null || guard.last.index <= this.#newest.last.index) return;
    // A failure is told through onFailed, and every later write rejects with it.
    this.write(guard).catch(() => undefined);
  }

  async #put(slot: 0 | 1, bytes: Uint8Array): Promise<void> {
    this.#busy = true;
    try {
      await this.#file.write(slot, bytes);
      this.#writtenAt = this.#clock.now();
    } catch (error) {
      this.#onFailed(error as Error);
      throw error;
    } finally {
      this.#busy = false;
    }
  }
}
