/** The copies of the repository among the members: who holds a commit, and how a new leader comes by what was recorded last. */
import type { NodeRow } from "@aether/core/node/state";
import type { NodeId } from "@aether/raft/types";
import { ObjectDamaged } from "@aether/store/git/object";
import type { EventStore } from "@aether/store/types";
import { mirror, type MirrorSource } from "./mirror.ts";
import type { RepositoryHome, RepositoryListing } from "./repository-home.ts";

/** Another member's copy. */
export interface PeerCopy {
  readonly node: string;
  readonly member: NodeId;
  readonly source: MirrorSource;
}

/** Commits that may have come after one that was recorded; a handful at most. */
const unrecordedMax = 1_000;

export type Seen = { readonly peer: PeerCopy; readonly listing: RepositoryListing | null };

/** What each holds; null for those that do not answer. */
export const lookAt = (peers: readonly PeerCopy[]): Promise<readonly Seen[]> =>
  Promise.all(peers.map(async (peer) => ({ peer, listing: await peer.source.listing().catch(() => null) })));

/** Nodes whose repository is at the commit, this one's included, and whether the voters among them are a quorum. */
export async function holdersOf(
  { world, membership, role }: Pick<EventStore, "world" | "membership" | "role">,
  commit: string,
  peers: readonly PeerCopy[],
): Promise<{ readonly holders: readonly string[]; readonly quorum: boolean }> {
  const seen = await lookAt(peers);
  const members = new Set([role.leader, ...seen.flatMap(({ peer, listing }) => (listing?.head === commit ? [peer.member] : []))]);
  const most = (voters: readonly NodeId[]): boolean =>
    voters.filter((voter) => members.has(voter)).length > Math.floor(voters.length / 2);
  const quorum = most(membership.voters) && (membership.outgoing.length === 0 || most(membership.outgoing));
  const names = [...world.all<NodeRow>("node")].flatMap(({ row }) => (members.has(row.member) ? [row.name] : []));
  return { holders: names.toSorted(), quorum };
}

/**
 * Makes `home` hold `last`, the commit that was recorded last, from whoever has it. "" when it does; words for people when nobody that
 * answers has it and the line goes on from what is here; null to ask again (`patient`: some may still answer). Call in `exclusive`.
 */
export async function settleLine(
  home: RepositoryHome,
  last: string | null,
  peers: readonly PeerCopy[],
  patient: boolean,
): Promise<string | null> {
  if (last === null || (await holds(home, last))) return "";
  const seen = await lookAt(peers);
  let fault = "";
  for (const { peer, listing } of seen) {
    if (listing?.head !== last) continue;
    try {
      await mirror(home, peer.source, listing);
      return "";
    } catch (error) {
      fault = `; ${peer.node}: ${error instanceof Error ? error.message : String(error)}`;
    }
  }
  if (patient && (fault !== "" || seen.some(({ listing }) => listing === null))) return null;
  const head = await home.head();
  const from = head === null ? "the line begins anew" : `the line goes on from ${head.slice(0, 12)}`;
  return `nobody that answers has commit ${last.slice(0, 12)}, which was recorded: ${from}${fault}`.slice(0, 1_000);
}

/** Whether the commit is in the line that the branch is at the end of. A repository that cannot be read holds nothing. */
export async function holds(home: RepositoryHome, commit: string): Promise<boolean> {
  try {
    for await (const { oid } of (await home.repository()).log(unrecordedMax)) if (oid === commit) return true;
    return false;
  } catch (error) {
    if (error instanceof ObjectDamaged) return false;
    throw error;
  }
}
