import { expect } from "vitest";
import {
  changeSimply,
  type Changed,
  emptyMembership,
  enterJoint,
  leaveJoint,
  memberIds,
  sameMembership,
} from "../core/confchange.ts";
import { Inflights } from "../core/inflights.ts";
import { PeerProgress } from "../core/progress.ts";
import { jointIndex, jointVote, majorityVote } from "../core/quorum.ts";
import { Tracker } from "../core/tracker.ts";
import type { Change, Index, Membership, NodeId, Progress } from "../types.ts";
import { unlimited } from "./lone.ts";
import { idsOf, type Runner, runner } from "./suite.ts";

interface Majorities {
  readonly incoming: readonly NodeId[];
  readonly outgoing: readonly NodeId[] | null;
}

const quorumCommit = runner<Majorities & { acked: Record<string, Index>; want: number | "infinity" }>((c) => {
  const ackedOf = (ids: readonly NodeId[] | null) => (ids ?? []).map((id) => c.acked[id] ?? 0);
  const got = jointIndex(ackedOf(c.incoming), ackedOf(c.outgoing));
  expect(got).toBe(c.want === "infinity" ? Infinity : c.want);
});

const quorumVote = runner<Majorities & { votes: Record<string, boolean>; want: string }>((c) => {
  const verdict = (ids: readonly NodeId[] | null) => majorityVote((ids ?? []).map((id) => c.votes[id]));
  expect(jointVote(verdict(c.incoming), verdict(c.outgoing))).toBe(c.want);
});

const checkQuorumActive = runner<Majorities & { learners: NodeId[]; active: NodeId[]; want: boolean }>((c) => {
  const tracker = new Tracker(unlimited);
  // A learner that still votes in the outgoing majority becomes one only when the joint change is left.
  const outgoing = c.outgoing ?? [];
  const learners = c.learners.filter((id) => !outgoing.includes(id));
  const learnersNext = c.learners.filter((id) => outgoing.includes(id));
  tracker.switchTo({ ...emptyMembership, voters: c.incoming, outgoing, learners, learnersNext }, 0);
  for (const peer of tracker.peers) peer.active = c.active.includes(peer.id);
  expect(tracker.quorumActive()).toBe(c.want);
});

interface WrittenMembership {
  readonly voters?: NodeId[];
  readonly votersOutgoing?: NodeId[];
  readonly learners?: NodeId[];
  readonly learnersNext?: NodeId[];
  readonly autoLeave?: boolean;
}

export function membershipWritten(w: WrittenMembership): Membership {
  return {
    voters: w.voters ?? [],
    outgoing: w.votersOutgoing ?? [],
    learners: w.learners ?? [],
    learnersNext: w.learnersNext ?? [],
    autoLeave: w.autoLeave ?? false,
  };
}

interface ChangeStep {
  readonly cmd: "simple" | "enterJoint" | "leaveJoint";
  readonly autoLeave?: boolean;
  readonly changes?: readonly { readonly op: Change["op"] | "update"; readonly id: NodeId }[];
  readonly lastIndex: Index;
  readonly want?: WrittenMembership;
  readonly wantError?: string;
  readonly wantProgress?: Record<string, { state: string; match: Index; next: Index; learner: boolean }>;
}

const changeSequence = runner<{ steps: ChangeStep[] }>((c) => {
  const tracker = new Tracker(unlimited);
  for (const step of c.steps) {
    const next = attempt(tracker.membership, step);
    const where = JSON.stringify(step);
    if (step.wantError !== undefined) {
      expect("reason" in next, where).toBe(true);
      continue;
    }
    if ("reason" in next) throw new Error(`${where}: refused, ${next.reason}`);
    expect(sameMembership(next, membershipWritten(step.want!)), `${where}: ${JSON.stringify(next)}`).toBe(true);
    tracker.switchTo(next, step.lastIndex);
    const wanted = step.wantProgress ?? {};
    expect(tracker.peers.map((peer) => peer.id)).toEqual(idsOf(wanted));
    for (const peer of tracker.peers) expect(peer, where).toMatchObject(wanted[peer.id]!);
  }
});

function attempt(m: Membership, step: ChangeStep): Changed {
  // An update of a node's address is no change of membership here, so a batch of nothing else is an empty one.
  const changes = (step.changes ?? []).filter((change): change is Change => change.op !== "update");
  if (step.cmd === "simple") return changeSimply(m, changes);
  return step.cmd === "leaveJoint" ? leaveJoint(m) : enterJoint(m, step.autoLeave ?? false, changes);
}

const restoreMembership = runner<WrittenMembership>((c) => {
  const m = membershipWritten(c);
  const tracker = new Tracker(unlimited);
  tracker.switchTo(m, 20);
  expect(sameMembership(tracker.membership, m)).toBe(true);
  expect(tracker.peers.map((peer) => peer.id)).toEqual(memberIds(m));
  expect(tracker.peers.filter((peer) => peer.learner).map((peer) => peer.id)).toEqual(m.learners);
});

const equivalent = runner<{ a: WrittenMembership; b: WrittenMembership; want: boolean }>((c) => {
  expect(sameMembership(membershipWritten(c.a), membershipWritten(c.b))).toBe(c.want);
});

function progressAt(state: Progress["state"], match: Index, next: Index, pendingSnapshot = 0): PeerProgress {
  const peer = new PeerProgress(2, next, { maxInflightMsgs: 256, maxInflightBytes: Infinity });
  Object.assign(peer, { state, match, pendingSnapshot });
  return peer;
}

const isPaused = runner<{ state: Progress["state"]; flowPaused: boolean; want: boolean }>((c) => {
  const peer = progressAt(c.state, 0, 1);
  peer.flowPaused = c.flowPaused;
  expect(peer.isPaused()).toBe(c.want);
});

const becomeProbe = runner<{ from: Progress["state"]; match: Index; next: Index; pendingSnapshot: Index; wantNext: Index }>(
  (c) => {
    const peer = progressAt(c.from, c.match, c.next, c.pendingSnapshot);
    peer.becomeProbe();
    expect(peer).toMatchObject({ state: "probe", match: c.match, next: c.wantNext });
  },
);

const becomeOther = runner<{ to: string; match: Index; next: Index; snapshotIndex?: Index; want: object }>((c) => {
  const peer = progressAt("probe", c.match, c.next);
  if (c.to === "replicate") peer.becomeReplicate();
  else peer.becomeSnapshot(c.snapshotIndex!);
  expect(peer).toMatchObject(c.want);
});

const updateOnAck = runner<
  { ack: Index; wantMatch: Index; wantNext: Index; wantUpdated: boolean },
  { match: Index; next: Index }
>((c, given) => {
  const peer = progressAt("replicate", given.match, given.next);
  expect(peer.ackedTo(c.ack)).toBe(c.wantUpdated);
  expect(peer).toMatchObject({ match: c.wantMatch, next: c.wantNext });
});

interface Rejected {
  readonly state: Progress["state"];
  readonly match: Index;
  readonly next: Index;
  readonly rejected: Index;
  readonly hint: Index;
  readonly want: boolean;
  readonly wantNext: Index;
}

const decreaseOnReject = runner<Rejected>((c) => {
  const peer = progressAt(c.state, c.match, c.next);
  expect(peer.rejectedAt(c.rejected, c.hint)).toBe(c.want);
  expect(peer).toMatchObject({ match: c.match, next: c.wantNext });
});

/** Where cases write 0 for a limit in bytes there is none. */
const windowOf = (size: number, maxBytes: number) => new Inflights(size, maxBytes === 0 ? Infinity : maxBytes);

const inflightsFull = runner<{ size: number; maxBytes: number; fullAt: number; freeLE: number; againAt: number }>((c) => {
  const window = windowOf(c.size, c.maxBytes);
  const fill = (from: number, until: number) => {
    for (let i = from; i < until; i++) {
      expect(window.full(), `before ${i}`).toBe(false);
      window.add(i, 100 + i);
    }
    expect(window.full(), `at ${until}`).toBe(true);
    expect(() => window.add(until, 100)).toThrow("A7");
  };
  fill(0, c.fullAt);
  window.freeTo(c.freeLE);
  fill(c.fullAt, c.againAt);
});

const inflightsFree = runner<{ ops: { add?: [number, number]; freeLE?: number; wantCount: number; wantBytes: number }[] }>(
  (c) => {
    const window = windowOf(10, 0);
    for (const op of c.ops) {
      if (op.add !== undefined) for (let i = op.add[0]; i <= op.add[1]; i++) window.add(i, 100 + i);
      if (op.freeLE !== undefined) window.freeTo(op.freeLE);
      expect(window, JSON.stringify(op)).toMatchObject({ count: op.wantCount, bytes: op.wantBytes });
    }
  },
);

export const unitRunners: Record<string, Runner> = {
  "quorum.majority_commit": quorumCommit,
  "quorum.joint_commit": quorumCommit,
  "quorum.majority_vote": quorumVote,
  "quorum.joint_vote": quorumVote,
  "authored.check_quorum_active": checkQuorumActive,
  "confchange.sequences": changeSequence,
  "confchange.restore": restoreMembership,
  "confstate.equivalent": equivalent,
  "progress.is_paused": isPaused,
  "progress.become_probe": becomeProbe,
  "progress.become_other": becomeOther,
  "progress.update_on_ack": updateOnAck,
  "progress.decrease_on_reject": decreaseOnReject,
  "inflights.full": inflightsFull,
  "inflights.free": inflightsFree,
};
