/** What the state folder says of itself: one sealed record that rides every flush and so is always of one piece with the rows. */
import type { EntryId, Membership } from "@aether/raft/types";
import type { StateDigest } from "../types.ts";
import type { AppliedState } from "./applied-state.ts";
import type { RowSums } from "./rows.ts";
import { metaKey } from "./state-db.ts";
import { packValue, seal, unpackValue, unseal } from "./value-codec.ts";

/** 2: history and answers in packs. Folders of format 1 were written by builds before the first release only. */
export const stateFormat = 2;

/** What the applied index stands for besides rows: also the head of a snapshot. */
export interface StateHead {
  readonly format: number;
  readonly applied: EntryId;
  readonly membership: Membership;
  readonly at: number;
  /** Chain digest at `applied`, and where this member's trail began. */
  readonly chain: Uint8Array;
  readonly chainFirst: number;
  readonly chainBase: Uint8Array;
  readonly checkpoints: readonly StateDigest[];
  readonly sessionSeq: number;
  readonly sums: RowSums;
  /** Hex state digest at `applied`. */
  readonly digest: string;
}

/** Sum over the seals of all keys of the generation: a missing, doubled or altered one shows at open. */
export interface DiskSum {
  readonly keys: number;
  readonly sum: number;
}

export interface StateMeta extends StateHead {
  readonly generation: number;
  readonly disk: DiskSum;
}

/** The head of `state` as it is now. */
export const headOf = (state: AppliedState): StateHead => ({
  format: stateFormat,
  applied: state.applied,
  membership: state.membership,
  at: state.at,
  chain: state.trail.head,
  chainFirst: state.trail.first,
  chainBase: state.trail.base,
  checkpoints: state.checkpoints,
  sessionSeq: state.sessions.seq,
  sums: state.rows.settle(),
  digest: state.digest().digest,
});

export const encodeMeta = (m: StateMeta): Buffer => seal(metaKey, packValue(m));

/** Throws Damaged on a bad checksum, and Error on a format of another build. */
export function decodeMeta(sealed: Uint8Array): StateMeta {
  const meta = unpackValue(unseal(metaKey, sealed)) as StateMeta;
  checkFormat(meta.format, "state folder");
  return meta;
}

export function checkFormat(format: unknown, what: string): void {
  if (format !== stateFormat) {
    throw new Error(
      `the ${what} has format ${String(format)}, this build reads format ${stateFormat}: start the build that wrote it`,
    );
  }
}

const modulus = 2 ** 48;

/** The running {@link DiskSum} of a generation. */
export class SumKeeper {
  private keys: number;
  private sum: number;

  constructor(from: DiskSum) {
    this.keys = from.keys;
    this.sum = from.sum;
  }

  add(crc: number): void {
    this.keys++;
    this.sum = (this.sum + crc) % modulus;
  }

  remove(crc: number): void {
    this.keys--;
    this.sum = (this.sum - crc + modulus) % modulus;
  }

  get value(): DiskSum {
    return { keys: this.keys, sum: this.sum };
  }
}

export const emptyDisk: DiskSum = { keys: 0, sum: 0 };
