/** Feeds what Raft shows into the node controller's rule, and does what it says. The rule is core's; the hands are here. */
import type { Command } from "@aether/core/kernel/command";
import type { World } from "@aether/core/kernel/world";
import { emptyMemory, reconcile, type Action, type Memory, type MembershipFacts } from "@aether/core/node/controller";
import type { CoreStatus, NodeId, RaftNode } from "@aether/raft/types";
import type { Answer } from "@aether/store/types";
import type { Log } from "../daemon/log.ts";

export interface MembershipKeeperOptions {
  readonly node: string;
  readonly world: World;
  readonly raft: RaftNode;
  /** Milliseconds of silence that count against each member; null when this member does not lead. */
  readonly silenceOf: (members: readonly NodeId[]) => ReadonlyMap<NodeId, number> | null;
  /** Submits as this member. */
  readonly submit: (command: Command) => Promise<Answer>;
  readonly log: Log;
}

export interface MembershipKeeper {
  /** One look at the rows, and what comes of it. Resolves when that is done or refused; the next look tries again. */
  look(): Promise<void>;
  /** Leadership was lost: what was counted does not count any more. */
  forget(): void;
}

const changeMs = 10_000;
const transferMs = 5_000;

export function makeMembershipKeeper(o: MembershipKeeperOptions): MembershipKeeper {
  let memory: Memory = emptyMemory;
  return {
    forget: () => {
      memory = emptyMemory;
    },
    look: async () => {
      const status = o.raft.status();
      const silenceMs = o.silenceOf([...status.progress.keys()]);
      if (silenceMs === null || status.role.state !== "leader") return;
      const next = reconcile(o.world, factsOf(o.node, status, silenceMs), memory);
      memory = next.memory;
      await Promise.all(next.actions.map((action) => carryOut(o, action)));
    },
  };
}

/** Raft's status in the rule's words. */
export function factsOf(node: string, status: CoreStatus, silenceMs: ReadonlyMap<NodeId, number>): MembershipFacts {
  const { membership, transferee } = status;
  return {
    node,
    member: status.id,
    term: status.role.term,
    voters: membership.voters,
    learners: membership.learners,
    changing: membership.outgoing.length > 0 || transferee !== 0,
    last: status.last.index,
    progress: new Map([...status.progress].map(([id, { match, active }]) => [id, { match, active }])),
    silenceMs,
  };
}

async function carryOut(o: MembershipKeeperOptions, action: Action): Promise<void> {
  if (action.do === "command") return submit(o, action.command);
  const what =
    action.do === "transfer" ? `transfer to ${action.to}` : action.changes.map((c) => `${c.op} ${c.member}`).join(", ");
  try {
    if (action.do === "transfer") await o.raft.transfer(action.to, transferMs);
    else
      await o.raft.change(
        action.changes.map(({ op, member }) => ({ op, id: member })),
        new Uint8Array(),
        changeMs,
      );
    o.log.info("membership", { what, why: action.why });
  } catch (error) {
    if (!(error instanceof Error) || !refusals.has(error.name)) throw error;
    o.log.warn("membership-refused", { what, why: action.why, refused: error.message });
  }
}

/** Errors of the driver that are answers: the next look finds the same to do, if it still is. */
const refusals = new Set(["ChangeRefused", "TransferFailed"]);

async function submit(o: MembershipKeeperOptions, command: Command): Promise<void> {
  const answer = await o.submit(command);
  if (!answer.ok) {
    const { reason, message } = answer.rejection;
    o.log.warn("command-refused", { command: command.type, id: command.id, reason, message });
  } else if (answer.changed) o.log.info("recorded", { command: command.type, id: command.id, index: answer.index });
}
