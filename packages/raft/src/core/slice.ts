import { Broken } from "../errors.ts";
import type { Entry, EntryId, LogSlice, Term } from "../types.ts";

/**
 * Why `entries` are not a run of a log that a leader of `leaderTerm` may have sent, or null when they are: indexes
 * contiguous after `prev`, terms never falling, the last term at most the leader's. Every number a safe integer.
 */
export function checkSlice(leaderTerm: Term, prev: EntryId, entries: readonly Entry[]): string | null {
  let index = prev.index;
  let term = prev.term;
  if (!Number.isSafeInteger(index) || index < 0 || !Number.isSafeInteger(term) || term < 0) return "the anchor is not a position";
  for (const e of entries) {
    index++;
    if (e.index !== index || !Number.isSafeInteger(index)) return `entry ${e.index} where ${index} belongs`;
    if (!Number.isSafeInteger(e.term) || e.term < term) return `entry ${index} has term ${e.term} after term ${term}`;
    term = e.term;
  }
  return term > leaderTerm ? `term ${term} is beyond the leader's term ${leaderTerm}` : null;
}

/** The only maker of a {@link LogSlice}. Throws {@link Broken} when the parts do not fit, which only a defect of ours can cause. */
export function logSlice(leaderTerm: Term, prev: EntryId, entries: readonly Entry[]): LogSlice {
  const wrong = checkSlice(leaderTerm, prev, entries);
  if (wrong !== null) throw new Broken(`A3 a log slice is contiguous and its terms never fall: ${wrong}`);
  return { leaderTerm, prev, entries };
}
