import { Broken, invariant } from "../errors.ts";
import { encodeConfigChange, applyConfigChange } from "../config-change.ts";
import { type ConfigChange, type Entry, type Index, Kind, type Outcome, type Refusal } from "../types.ts";
import { isJoint, memberIds } from "./confchange.ts";
import type { OwnRun, RaftState } from "./state.ts";

const maxOwnRuns = 64;
const maxNodeId = 0xffff_ffff;

/** Takes a batch of proposals into the leader's log, or says why not. All of them or none; consecutive indexes. */
export function propose(r: RaftState, data: readonly Uint8Array[]): Outcome {
  const refusal = refuseProposal(r) ?? refuseData(r, data);
  return refusal === null ? appendOwn(r, Kind.normal, data) : refused(r, refusal);
}

/** Takes a membership change into the leader's log when none is pending and it applies to the membership in force. */
export function proposeChange(r: RaftState, change: ConfigChange): Outcome {
  const refusal = refuseProposal(r) ?? refuseChange(r, change);
  return refusal === null ? appendChange(r, change) : refused(r, refusal);
}

/** Leaves a joint membership that is to be left by itself, once the change that entered it is applied. */
export function leaveJointWhenDue(r: RaftState): void {
  if (r.state !== "leader" || !r.membership().autoLeave || r.pendingConfIndex > r.log.applied || refuseProposal(r) !== null)
    return;
  appendChange(r, { changes: [], transition: "auto", leave: true, context: new Uint8Array(0) });
}

/** Appends entries of the leader's own term. The ack to itself waits for the disk like everyone else's. */
export function appendOwn(r: RaftState, kind: Kind, data: readonly Uint8Array[]): Outcome {
  const { log, term } = r;
  const before = log.lastIndex();
  invariant(Number.isSafeInteger(before + data.length), "A2 indexes stay safe integers");
  const entries: Entry[] = [];
  for (const bytes of data) entries.push({ term, index: before + 1 + entries.length, kind, data: bytes });
  log.append(entries);
  const last = before + entries.length;
  if (kind !== Kind.noop) rememberOwn(r, { first: before + 1, last, term });
  r.send(r.id, { t: "appResp", index: last, reject: null });
  r.out.appendsDue = true;
  return { ok: true, first: before + 1, last, term };
}

/** The log is cut from `from` on: own proposals there are reported, for nobody here can tell what becomes of them. */
export function dropOwnFrom(r: RaftState, from: Index): void {
  const kept: OwnRun[] = [];
  for (const run of r.ownRuns) {
    const first = Math.max(run.first, from, r.log.committed + 1);
    if (first <= run.last) r.out.dropped.push({ first, last: run.last, term: run.term });
    if (run.first < from) kept.push({ first: run.first, last: Math.min(run.last, from - 1), term: run.term });
  }
  r.ownRuns = kept;
}

export function refused(r: RaftState, why: Refusal): Outcome {
  return { ok: false, why, leader: r.leader };
}

function refuseProposal(r: RaftState): Refusal | null {
  if (r.state !== "leader") return r.leader === 0 ? "noLeader" : "notLeader";
  if (r.sick) return "stalled";
  return r.transferee === 0 ? null : "transferring";
}

/** One batch is always admitted when nothing is uncommitted, whatever its size, or a large one could never be. */
function refuseData(r: RaftState, data: readonly Uint8Array[]): Refusal | null {
  const { maxEntryBytes, maxUncommittedBytes } = r.options.limits;
  if (data.length === 0) return "invalid";
  let bytes = 0;
  for (const d of data) {
    if (d.length > maxEntryBytes) return "tooLarge";
    bytes += d.length;
  }
  if (r.uncommittedBytes > 0 && bytes > 0 && r.uncommittedBytes + bytes > maxUncommittedBytes) return "uncommittedQuota";
  r.uncommittedBytes += bytes;
  return null;
}

function refuseChange(r: RaftState, change: ConfigChange): Refusal | null {
  if (r.pendingConfIndex > r.log.applied) return "configPending";
  const membership = r.membership();
  if (isJoint(membership) && !change.leave) return "configPending";
  if (change.changes.some(({ id }) => !Number.isSafeInteger(id) || id < 1 || id > maxNodeId)) return "invalid";
  const next = applyConfigChange(membership, change);
  if ("reason" in next || memberIds(next).length > r.options.limits.maxMembers) return "invalid";
  return change.context.length > r.options.limits.maxEntryBytes ? "tooLarge" : null;
}

function appendChange(r: RaftState, change: ConfigChange): Outcome {
  const outcome = appendOwn(r, Kind.config, [encodeConfigChange(change)]);
  if (!outcome.ok) throw new Broken("A1 a leader's own append is never refused");
  r.pendingConfIndex = outcome.last;
  return outcome;
}

/** One run a term: it may span entries the core added by itself. Runs that are committed are forgotten here. */
function rememberOwn(r: RaftState, run: OwnRun): void {
  const newest = r.ownRuns[r.ownRuns.length - 1];
  if (newest !== undefined && newest.term === run.term) {
    r.ownRuns[r.ownRuns.length - 1] = { first: newest.first, last: run.last, term: run.term };
    return;
  }
  r.ownRuns = r.ownRuns.filter((old) => old.last > r.log.committed);
  r.ownRuns.push(run);
  if (r.ownRuns.length > maxOwnRuns) r.out.dropped.push(r.ownRuns.shift()!);
}
