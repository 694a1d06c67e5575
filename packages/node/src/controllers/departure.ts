/**
 * Whether this member still belongs. A removed member gets no more log, so it cannot learn of its removal from there
 * alone: it also believes what others' rows say, where that cannot be merely old.
 */
import type { NodeId } from "@aether/raft/types";

/** What a row of noun node says, of this node's name. */
export interface NodeStanding {
  readonly name: string;
  readonly member: NodeId;
  readonly left: boolean;
}

export interface Standing {
  readonly applied: number;
  /** Voters and learners. */
  readonly members: readonly NodeId[];
  /** This node's row, if the world has one. */
  readonly row: NodeStanding | undefined;
}

export type Departure =
  | { readonly v: "belongs" }
  /** Shut down through the cluster: the row says so. */
  | { readonly v: "left" }
  | { readonly v: "removed"; readonly why: string };

/**
 * Member ids only grow, so a row with a higher one is newer than us, and one with a lower one is an old row. A row that is
 * missing counts only from somebody who is ahead of us and whose membership no longer names us, while our own world has it.
 */
export function judgeDeparture(me: NodeId, own: Standing, others: readonly Standing[]): Departure {
  for (const standing of [own, ...others]) {
    const { row } = standing;
    if (row !== undefined && row.member > me) {
      return { v: "removed", why: `member ${row.member} took this node's place: another daemon rejoined under this name` };
    }
    if (row !== undefined && row.member === me && row.left) return { v: "left" };
    const ahead = standing.applied >= own.applied && !standing.members.includes(me);
    if (row === undefined && ahead && own.row !== undefined) {
      return { v: "removed", why: "the cluster has forgotten this node" };
    }
  }
  return { v: "belongs" };
}
