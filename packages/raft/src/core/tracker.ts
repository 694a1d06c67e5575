import { invariant } from "../errors.ts";
import type { Index, Limits, Membership, NodeId } from "../types.ts";
import { emptyMembership, memberIds, membershipDefect } from "./confchange.ts";
import { PeerProgress } from "./progress.ts";
import { jointIndex, jointVote, majorityVote, type VoteResult } from "./quorum.ts";

/** The membership in force here and a {@link PeerProgress} for each id in it, ascending by id. */
export class Tracker {
  readonly limits: Limits;
  membership: Membership = emptyMembership;
  peers: readonly PeerProgress[] = [];
  private incoming: readonly PeerProgress[] = [];
  private outgoing: readonly PeerProgress[] = [];
  /** Reused by every count of acks, which happens with each of them. */
  private incomingScratch: Index[] = [];
  private outgoingScratch: Index[] = [];

  constructor(limits: Limits) {
    this.limits = limits;
  }

  /** A handful of members: a scan beats a lookup. */
  find(id: NodeId): PeerProgress | undefined {
    for (const peer of this.peers) if (peer.id === id) return peer;
    return undefined;
  }

  /**
   * Puts `m` in force. Members that stay keep their progress; a new one is probed at `lastIndex` and counts as active, so
   * that the leader which took it in does not step down before it could speak.
   */
  switchTo(m: Membership, lastIndex: Index): void {
    const defect = membershipDefect(m);
    invariant(defect === null, `A11 the membership in force is sound: ${defect}`);
    const peers = memberIds(m).map((id) => {
      const peer = this.find(id) ?? newPeer(id, lastIndex, this.limits);
      peer.learner = m.learners.includes(id);
      return peer;
    });
    const having = (ids: readonly NodeId[]) => peers.filter((peer) => ids.includes(peer.id));
    this.membership = m;
    this.peers = peers;
    this.incoming = having(m.voters);
    this.outgoing = having(m.outgoing);
    this.incomingScratch = this.incoming.map(() => 0);
    this.outgoingScratch = this.outgoing.map(() => 0);
  }

  /** Highest index that a quorum has durably. */
  committed(): Index {
    const { incoming, outgoing, incomingScratch, outgoingScratch } = this;
    for (let i = 0; i < incoming.length; i++) incomingScratch[i] = incoming[i]!.match;
    for (let i = 0; i < outgoing.length; i++) outgoingScratch[i] = outgoing[i]!.match;
    return jointIndex(incomingScratch, outgoingScratch);
  }

  /** Highest read position that a quorum has confirmed. */
  readConfirmed(): number {
    return jointIndex(this.incoming.map(readAckOf), this.outgoing.map(readAckOf));
  }

  /** Whether the members heard from since the last check make a quorum. */
  quorumActive(): boolean {
    return jointVote(majorityVote(this.incoming.map(activeOf)), majorityVote(this.outgoing.map(activeOf))) === "won";
  }

  resetBallots(): void {
    for (const peer of this.peers) peer.ballot = undefined;
  }

  /** A member's first answer stands. */
  recordBallot(id: NodeId, granted: boolean): void {
    const peer = this.find(id);
    if (peer !== undefined) peer.ballot ??= granted;
  }

  tally(): VoteResult {
    return jointVote(majorityVote(this.incoming.map(ballotOf)), majorityVote(this.outgoing.map(ballotOf)));
  }
}

function newPeer(id: NodeId, lastIndex: Index, limits: Limits): PeerProgress {
  const peer = new PeerProgress(id, Math.max(lastIndex, 1), limits);
  peer.active = true;
  return peer;
}

const readAckOf = (peer: PeerProgress): number => peer.readAck;
const activeOf = (peer: PeerProgress): boolean => peer.active;
const ballotOf = (peer: PeerProgress): boolean | undefined => peer.ballot;
