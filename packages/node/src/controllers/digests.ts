/**
 * Members compare the digest of their world at the same checkpoints. One whose digest differs from what a quorum of
 * voters agrees on has computed something else from the same log: it must stop serving. Never the majority, and nobody
 * on a tie or on silence.
 */
import type { NodeId } from "@aether/raft/types";
import type { StateDigest } from "@aether/store/types";

export interface DigestsOf {
  readonly member: NodeId;
  readonly checkpoints: readonly StateDigest[];
}

export type DigestVerdict =
  | { readonly v: "agreed" | "open" }
  | {
      readonly v: "alone";
      readonly index: number;
      readonly own: string;
      readonly theirs: string;
      readonly members: readonly NodeId[];
    };

/**
 * Judges `own` against what the other members said, at the newest index that a quorum of `voters` shares. "open" when
 * there is no such index yet.
 */
export function judgeDigests(own: DigestsOf, others: readonly DigestsOf[], voters: readonly NodeId[]): DigestVerdict {
  const quorum = Math.floor(voters.length / 2) + 1;
  let agreed = false;
  for (const { index, digest } of own.checkpoints.toReversed()) {
    const camps = new Map<string, NodeId[]>();
    if (voters.includes(own.member)) camps.set(digest, [own.member]);
    for (const other of others) {
      if (!voters.includes(other.member) || other.member === own.member) continue;
      const theirs = other.checkpoints.find((checkpoint) => checkpoint.index === index)?.digest;
      if (theirs !== undefined) camps.set(theirs, [...(camps.get(theirs) ?? []), other.member]);
    }
    for (const [theirs, members] of camps) {
      if (members.length < quorum) continue;
      if (theirs !== digest) return { v: "alone", index, own: digest, theirs, members };
      agreed = true;
    }
    if (agreed) return { v: "agreed" };
  }
  return { v: "open" };
}
