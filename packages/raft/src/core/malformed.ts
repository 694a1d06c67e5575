import type { EntryId, Envelope, Msg, NodeId, SnapMeta } from "../types.ts";
import { membershipDefect } from "./confchange.ts";
import { checkSlice } from "./slice.ts";

const maxNodeId = 0xffff_ffff;

/**
 * Rule A3: whether a message makes no sense whatever the state of its receiver. What a peer sends must not be able
 * to bring a member down, so this is asked of everything that comes in, before anything is believed.
 */
export function malformed(e: Envelope, self: NodeId): boolean {
  if (e.to !== self || !isNodeId(e.from) || !Number.isSafeInteger(e.term) || e.term < 1) return true;
  if (e.from === self) return e.m.t !== "appResp" && e.m.t !== "voteResp" && e.m.t !== "preVoteResp";
  return malformedBody(e.m, e.term);
}

function malformedBody(m: Msg, term: number): boolean {
  switch (m.t) {
    case "app":
      return !isCount(m.commit) || m.prev.term > term || checkSlice(term, m.prev, m.entries) !== null;
    case "appResp":
      return !isCount(m.index) || (m.reject !== null && !isPosition(m.reject.hint));
    case "hb":
      return !isCount(m.commit) || !isCount(m.readPos);
    case "hbResp":
      return !isCount(m.readPos);
    case "vote":
    case "preVote":
      return !isPosition(m.last) || m.last.term > term || !isPosition(m.commit) || m.commit.term > term;
    case "voteResp":
    case "preVoteResp":
      return typeof m.granted !== "boolean" || !isPosition(m.commit) || m.commit.term > term;
    case "snapOffer":
      return malformedSnapshot(m.meta, term);
    case "readIndex":
      return !isCount(m.key);
    case "readIndexResp":
      return !isCount(m.key) || !isCount(m.index);
    case "timeoutNow":
    case "removed":
      return false;
    default:
      return true;
  }
}

function malformedSnapshot(meta: SnapMeta, term: number): boolean {
  const { voters, outgoing, learners, learnersNext } = meta.membership;
  if (!isPosition(meta.id) || meta.id.index < 1 || meta.id.term > term || !isCount(meta.bytes) || voters.length === 0)
    return true;
  if (![voters, outgoing, learners, learnersNext].every((ids) => ids.every(isNodeId) && new Set(ids).size === ids.length))
    return true;
  return membershipDefect(meta.membership) !== null;
}

function isPosition(id: EntryId): boolean {
  return isCount(id.index) && isCount(id.term);
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0;
}

function isNodeId(n: number): boolean {
  return Number.isInteger(n) && n >= 1 && n <= maxNodeId;
}
