/**
 * What discovery has shown so far, so that a node is not dropped because one answer did not name it: lists lag, and a vendor's
 * bad minute must not look like the end of a cluster. Pure; who polls decides when.
 */
import type { Peer } from "./provider.ts";

export interface PeerMemory {
  /** By node, sorted. */
  readonly peers: readonly Peer[];
  /** How many answers in a row did not name a node, by node. */
  readonly missed: ReadonlyMap<string, number>;
  /** Failed polls in a row: how old `peers` are. */
  readonly failures: number;
}

export const noPeers: PeerMemory = { peers: [], missed: new Map(), failures: 0 };

/** A node is forgotten after this many whole answers in a row without it. */
const missesMax = 2;

/** `poll` is a whole answer, or null when there was none: then nothing changes but the count of failures. */
export function rememberPeers(memory: PeerMemory, poll: readonly Peer[] | null): PeerMemory {
  if (poll === null) return { ...memory, failures: memory.failures + 1 };
  const named = new Set(poll.map((peer) => peer.node));
  const missed = new Map<string, number>();
  const kept = memory.peers.filter(({ node }) => {
    if (named.has(node)) return false;
    const misses = (memory.missed.get(node) ?? 0) + 1;
    if (misses < missesMax) missed.set(node, misses);
    return misses < missesMax;
  });
  return { peers: [...poll, ...kept].toSorted((a, b) => (a.node < b.node ? -1 : 1)), missed, failures: 0 };
}
