import { decodeConfigChange } from "@aether/raft/config-change";
import type { Entry, Membership, NodeId } from "@aether/raft/types";

type Standing = "voter" | "learner" | "stranger";
const meaning = { addVoter: "voter", addLearner: "learner", remove: "stranger" } as const;

/**
 * A change does what it says to those it names, the last word on each counting, and nothing to others. While a joint membership is in
 * force, or if no voter would be left, it does nothing at all. Null when it is so, else what is wrong.
 */
export function wrongChange(before: Membership, entry: Entry, after: Membership): string | null {
  const { changes, leave } = decodeConfigChange(entry.data);
  const asked = new Map(changes.filter(({ id }) => id !== 0).map(({ op, id }) => [id, op]));
  const wanted = (id: NodeId): Standing => {
    const op = asked.get(id);
    if (op !== undefined) return meaning[op];
    return leave && before.learnersNext.includes(id) ? "learner" : standing(before, id);
  };
  const ids = new Set([...asked.keys(), ...before.voters, ...before.learners, ...after.voters, ...after.learners]);
  const isVoid = before.outgoing.length > 0 ? !leave : leave || ![...ids].some((id) => wanted(id) === "voter");
  for (const id of ids) {
    const [was, is, op] = [standing(before, id), standing(after, id), asked.get(id) ?? "nothing"];
    // A voter that is to learn stays one of the outgoing half until the joint membership is left.
    const becomes = !isVoid && op === "addLearner" && after.learnersNext.includes(id) ? "learner" : is;
    if (becomes !== (isVoid ? was : wanted(id)))
      return `entry ${entry.index} says ${op} of ${id}, which was a ${was} and is a ${is}`;
  }
  return null;
}

/** Of the half that comes in, where there are two. */
function standing({ voters, learners }: Membership, id: NodeId): Standing {
  if (voters.includes(id)) return "voter";
  return learners.includes(id) ? "learner" : "stranger";
}
