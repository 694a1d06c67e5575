/** What a bootstrap's journal says of one node's machine. Nodes are numbered from 0, in the journal's order. */
import type { JournalMachine, JournalNode } from "../bootstrap/journal.ts";
import type { Bootstrap } from "../bootstrap/steps.ts";

export function nodeAt(b: Bootstrap, at: number): JournalNode & { readonly machine: JournalMachine } {
  const node = b.steps.journal.identity?.nodes[at];
  if (node?.machine === undefined) throw new Error(`node ${at} of a cluster in a cloud has no machine in the journal`);
  return { ...node, machine: node.machine };
}

/** Changes what the journal says of one node's machine. */
export const writeMachine = (
  b: Bootstrap,
  at: number,
  change: Partial<JournalMachine> & { readonly address?: string },
): Promise<void> =>
  b.steps.write(({ identity }) => {
    const { address, ...machine } = change;
    const nodes = (identity?.nodes ?? []).map((node, index): JournalNode => {
      if (index !== at || node.machine === undefined) return node;
      return { ...node, ...(address === undefined ? {} : { address }), machine: { ...node.machine, ...machine } };
    });
    return { identity: identity && { ...identity, nodes } };
  });
