/**
 * The driver gives the pure core its time, its disk, its network and its state machine. What it is made of and how it is
 * started stands here; how it works, in member-loop.ts.
 */
import { makeCore } from "../core/core.ts";
import { invariant } from "../errors.ts";
import type {
  Boot,
  Clock,
  CoreOptions,
  DriverOptions,
  Limits,
  LogStorage,
  NodeId,
  RaftNode,
  SnapshotStore,
  StateMachine,
  Transport,
} from "../types.ts";
import { defaultLimits } from "./default-options.ts";
import { MemberLoop } from "./member-loop.ts";

export interface DriverParts {
  readonly id: NodeId;
  /** From LogStorage's open verdict, with `applied` and `membership` as the state machine has them on disk. */
  readonly boot: Boot;
  readonly log: LogStorage;
  readonly snapshots: SnapshotStore;
  /** The driver sets its three handlers. Closing it is the caller's business, after stop(). */
  readonly transport: Transport;
  readonly stateMachine: StateMachine;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly rng: () => number;
  /** Where a member listens; undefined while unknown. Asked again at each membership change and at refreshPeers(). */
  readonly addressOf: (id: NodeId) => string | undefined;
  readonly options: DriverOptions;
  readonly limits?: Limits;
  readonly priority?: number;
  readonly checks?: CoreOptions["checks"];
}

export interface Driver extends RaftNode {
  /** An address became known or changed outside the log: look all of them up again. */
  refreshPeers(): void;
}

/**
 * Starts a member: from here on it ticks, votes and applies. Pre-vote and check-quorum are always on. If the log holds a
 * newer snapshot than the state machine (a crash between installing and restoring it), that is restored first.
 * Throws Broken when boot and state machine contradict each other.
 */
export function startDriver(parts: DriverParts): Driver {
  const boot = settledBoot(parts);
  const loop = new MemberLoop(parts, makeCore(coreOptions(parts), boot, parts.log.view), boot);
  loop.start();
  return loop;
}

function coreOptions(parts: DriverParts): CoreOptions {
  const { electionTicks, heartbeatTicks } = parts.options;
  const { id, rng, limits = defaultLimits, priority = 0, checks = "cheap" } = parts;
  return { id, electionTicks, heartbeatTicks, priority, limits, rng, checks, preVote: true, checkQuorum: true };
}

/**
 * What the core starts from. A commit index may have been lost with a lazy write, but what was applied was committed;
 * and a snapshot that is durable counts as applied here, because the driver restores it before anything else.
 */
function settledBoot({ boot, stateMachine }: DriverParts): Boot {
  invariant(boot.applied === stateMachine.applied, "boot names the state machine's durable applied index");
  const fromSnapshot = boot.snap.id.index > boot.applied;
  const applied = fromSnapshot ? boot.snap.id.index : boot.applied;
  invariant(applied <= boot.last.index, "A9 the state machine is not ahead of its log");
  return {
    ...boot,
    applied,
    membership: fromSnapshot ? boot.snap.membership : boot.membership,
    hard: { ...boot.hard, commit: Math.max(boot.hard.commit, applied) },
  };
}
