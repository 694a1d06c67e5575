/** What happens to the cluster's backups: asked for, written or not, pushed or not, proved by a drill. */
import * as Schema from "effect/Schema";
import { defineEvent } from "../kernel/define.ts";
import { hex, Index, NodeName, text } from "../kernel/fields.ts";

/** A commit's name in the backups' repository. */
export const CommitId = hex(40, 40);
export const holdersMax = 64;
export const whyCharsMax = 1_024;

/** A backup is wanted that holds all that was there at this entry. `by` is "role:name". */
export const BackupRequested = defineEvent({
  type: "BackupRequested",
  v: 1,
  level: 1,
  fields: { by: text(256), cause: text(128) },
});

export const recorded = {
  commit: CommitId,
  /** The commit holds what was wanted at this index. */
  upTo: Index,
  tookMs: Index,
  /** What the backup added to the repository; 0 when the commit was there already. */
  bytes: Index,
  /** In the commit. */
  things: Index,
  /** Things that differ from the commit before. */
  changed: Index,
  /** Nodes whose disks hold the commit, as far as was waited for. */
  holders: Schema.Array(NodeName).check(Schema.isMaxLength(holdersMax, { expected: `at most ${holdersMax} nodes` })),
  /** What was not as it should be though the backup was written; "" when nothing. */
  note: text(whyCharsMax),
} as const;
/** The receipt of everything asked for up to `upTo`. */
export const BackupRecorded = defineEvent({ type: "BackupRecorded", v: 1, level: 1, fields: recorded });

export const failed = { why: text(whyCharsMax), hint: text(whyCharsMax) } as const;
/** What was asked for was tried and not done. It is tried again, as a request of its own. */
export const BackupFailed = defineEvent({ type: "BackupFailed", v: 1, level: 1, fields: failed });

export const pushed = { commit: CommitId, remote: text(1_024) } as const;
export const BackupPushed = defineEvent({ type: "BackupPushed", v: 1, level: 1, fields: pushed });

export const pushFailed = { commit: CommitId, remote: text(1_024), why: text(whyCharsMax), hint: text(whyCharsMax) } as const;
/** Recorded once for each new reason; it is tried on. */
export const BackupPushFailed = defineEvent({ type: "BackupPushFailed", v: 1, level: 1, fields: pushFailed });

export const drill = {
  commit: CommitId,
  /** The restored world wants the same, byte for byte, as the commit's manifest says. */
  sound: Schema.Boolean,
  things: Index,
  tookMs: Index,
  /** What was found; "" when all is as it should be. */
  why: text(whyCharsMax),
} as const;
export const BackupDrillRecorded = defineEvent({
  type: "BackupDrillRecorded",
  v: 1,
  level: 1,
  fields: { ...drill, by: text(256) },
});

export const backupEvents = [BackupRequested, BackupRecorded, BackupFailed, BackupPushed, BackupPushFailed, BackupDrillRecorded];
