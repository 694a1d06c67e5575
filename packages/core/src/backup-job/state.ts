/** The cluster's backups as one row, whose id is the cluster's name: what is asked for, and how it went. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";

interface Entry {
  /** Of the entry that recorded it. */
  readonly index: number;
  readonly at: number;
}

export interface BackupRequest extends Entry {
  /** "role:name". */
  readonly by: string;
  readonly cause: string;
}

export interface BackupReceipt extends Entry {
  readonly commit: string;
  /** The commit holds what was wanted at this index. */
  readonly upTo: number;
  readonly tookMs: number;
  readonly bytes: number;
  readonly things: number;
  readonly changed: number;
  readonly holders: readonly string[];
  readonly note: string;
}

export interface BackupFailure extends Entry {
  readonly why: string;
  readonly hint: string;
  /** Of the newest request that it is the answer to. */
  readonly request: number;
}

export interface PushReceipt extends Entry {
  readonly commit: string;
  readonly remote: string;
}

export interface PushFailure extends PushReceipt {
  readonly why: string;
  readonly hint: string;
}

export interface DrillResult extends Entry {
  readonly commit: string;
  readonly sound: boolean;
  readonly things: number;
  readonly tookMs: number;
  readonly why: string;
  /** "role:name". */
  readonly by: string;
}

export interface BackupRow {
  /** The newest that has no receipt; null when nothing is asked for. */
  readonly open: BackupRequest | null;
  readonly last: BackupReceipt | null;
  /** Since the last receipt. */
  readonly failed: BackupFailure | null;
  readonly pushed: PushReceipt | null;
  /** Since the last push that was taken. */
  readonly pushFailed: PushFailure | null;
  readonly drill: DrillResult | null;
}

const empty: BackupRow = { open: null, last: null, failed: null, pushed: null, pushFailed: null, drill: null };

/** The row of a world; empty before anything was asked for. */
export function backupsOf(world: World): BackupRow {
  for (const { row } of world.all<BackupRow>("backup")) return row;
  return empty;
}

/** Throws on an event that is not of this noun. */
export function evolveBackup(before: BackupRow | undefined, event: DomainEvent, { index, at }: EventContext): BackupRow {
  const row = before ?? empty;
  const { type: _type, v: _v, id: _id, ...fields } = event;
  const happened = { ...fields, index, at };
  switch (event.type) {
    case "BackupRequested":
      return { ...row, open: happened as unknown as BackupRequest };
    case "BackupRecorded": {
      const last = happened as unknown as BackupReceipt;
      const open = row.open !== null && row.open.index > last.upTo ? row.open : null;
      return { ...row, open, last, failed: null };
    }
    case "BackupFailed":
      return { ...row, open: null, failed: { ...(happened as unknown as BackupFailure), request: row.open?.index ?? 0 } };
    case "BackupPushed":
      return { ...row, pushed: happened as unknown as PushReceipt, pushFailed: null };
    case "BackupPushFailed":
      return { ...row, pushFailed: happened as unknown as PushFailure };
    case "BackupDrillRecorded":
      return { ...row, drill: happened as unknown as DrillResult };
    default:
      throw new Error(`backup has no event ${event.type}`);
  }
}
