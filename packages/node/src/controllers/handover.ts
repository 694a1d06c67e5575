/** Handing leadership to somebody else before this member goes away, so that nobody waits for an election. */
import type { CoreStatus, NodeId, RaftNode } from "@aether/raft/types";

/** The voter that could lead soonest: heard from lately, and furthest along. Undefined when there is none, or we do not lead. */
export function pickSuccessor(status: CoreStatus): NodeId | undefined {
  if (status.role.state !== "leader") return undefined;
  const { voters } = status.membership;
  const able = [...status.progress].filter(([id, p]) => id !== status.id && voters.includes(id) && p.active && !p.learner);
  return able.toSorted(([idA, a], [idB, b]) => b.match - a.match || idA - idB)[0]?.[0];
}

/**
 * Transfers leadership if this member leads. Resolves with who leads now as far as is known, or why it could not be handed over;
 * never later than about `deadlineMs`.
 */
export async function handOver(
  raft: RaftNode,
  deadlineMs: number,
): Promise<"nothingToDo" | { readonly to: NodeId } | { readonly failed: string }> {
  const status = raft.status();
  const alone = status.membership.voters.every((id) => id === status.id);
  if (status.role.state !== "leader" || alone) return "nothingToDo";
  const to = pickSuccessor(status);
  if (to === undefined) return { failed: "no other voter is in contact" };
  try {
    await raft.transfer(to, deadlineMs);
    return { to };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}
