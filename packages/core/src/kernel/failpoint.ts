/**
 * Failpoints: named places around every durable step, where a test makes a running daemon die, dawdle or fail. They are
 * always in the code and never armed but by the daemon's own environment (packages/node, daemon/failpoints.ts).
 *
 * Unarmed, a place costs one comparison with null: `if (failpoints.at !== null) await failpoints.at("beforeFlush");`.
 * Off the hot path `await failpoints.at?.("beforeFlush")` says the same in fewer words.
 */

/** Every place by name, with what is already durable when it is reached. */
export const failpointPlaces = {
  beforeAppendSync: "a group of log entries, term or vote is about to be written and synced",
  afterAppendSync: "the group is durable in the log database; the guard may still trail it",
  beforeTruncate: "log entries are about to go; the guard still stands as it was",
  afterTruncate: "log entries have gone durably; the guard stands at or below what was kept",
  beforeVoteGuard: "a term, a vote or a cut is durable in the log; the guard does not say so yet",
  afterVoteGuard: "the guard says so too; nobody has been told",
  beforeThenSend: "all of the group is durable; what waited for it has not been sent",
  beforeGuardSync: "one of the guard's slots is about to be written",
  afterGuardSync: "the guard's slot is durable",
  beforeCompact: "the log's beginning is about to go, behind a snapshot",
  afterCompact: "the log's beginning has gone; history and digests of it have not",
  beforeApply: "committed entries are about to be applied in memory",
  afterApply: "they are applied in memory and not flushed",
  beforeFlush: "rows, history and the applied index are about to be written in one synced batch",
  afterFlush: "that batch is durable; memory does not know it yet",
  beforeTrim: "history and digests of compacted entries are about to go",
  beforeRestoreSwitch: "a received snapshot's rows are loaded beside the old ones",
  afterRestoreSwitch: "the new rows count; the old ones still lie there",
  beforeSnapSync: "a snapshot's file is written and not synced",
  beforeReceivedSync: "a received snapshot is whole and not synced",
  beforeReceivedRename: "it is durable and has no name of its own",
  afterReceivedRename: "it has its name; the folder is not synced",
  beforeSnapRename: "a snapshot's file is durable and has no name of its own",
  afterSnapRename: "it has its name; the folder is not synced",
  beforeFormat: "the first record of a log is about to be written",
  beforeIdentity: "log and guard are there; identity.json, which makes them count, is not",
  afterIdentity: "the folder is formatted durably; nobody has been told",
  beforeSeats: "members.json is about to be written",
  afterSeats: "members.json is durable; the log is not formatted",
  afterMint: "the cluster has minted a member number for this node; nothing of it is on disk",
  beforeFloors: "floors.json is about to be replaced",
  afterFloors: "floors.json is durable",
  beforeRetire: "a folder that may not be used any more is about to be moved aside",
  duringRetire: "one of its parts has been moved aside",
  afterRetire: "all of it has been moved aside",
} as const;

export type Failpoint = keyof typeof failpointPlaces;

export interface Failpoints {
  /** Waits, rejects or never returns, as was asked for; null while nothing is armed. */
  at: ((place: Failpoint) => Promise<void>) | null;
  /** The same where the code cannot wait: it blocks the process, or throws. */
  now: ((place: Failpoint) => void) | null;
}

/** One for the process: a daemon is one member. */
export const failpoints: Failpoints = { at: null, now: null };
