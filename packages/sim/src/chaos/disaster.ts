/**
 * What a disaster is to a chaos run: something worse than a signal or a broken link, with a beginning and an end. It works
 * on nodes that it has taken for itself, so that nothing else starts, ends or stops them meanwhile.
 */
import type { ClusterHarness, TestNode } from "@aether/node/testing/cluster-harness";
import type { TestClient } from "@aether/node/testing/test-client";
import type { Stream } from "../world/stream.ts";

export interface Disaster {
  /** As `--without` names it and the table of faults shows it: small letters and hyphens. */
  readonly name: string;
  /**
   * True: links are healed, paused processes go on and dead ones are started before it begins, and no other fault happens
   * until it has ended. For what is only survived by rights when the other members are well, such as an old disk.
   */
  readonly alone?: boolean;
  /** Why it cannot be had on this machine, or null. Asked once a run; a run without it says so. */
  readonly unavailable?: () => Promise<string | null>;
  /**
   * Called between the beginning and the end of the faults, never twice without end() between. Draws from `stream` only. What it
   * rejects with ends the run as broken: that this cluster did not behave as documented, for example.
   */
  begin(cluster: ChaosCluster, stream: Stream): Promise<void>;
  /** Undoes it and gives back every node it took. Always called after begin(), also when that failed. May take up to 60 s. */
  end(cluster: ChaosCluster): Promise<void>;
}

export interface ChaosCluster {
  /** Folders, certificates, addresses and logs of the daemons. To start and end them, use the functions below. */
  readonly harness: ClusterHarness;
  readonly nodes: readonly TestNode[];
  /** Asks members directly, past the proxies between them. */
  readonly operator: TestClient;
  /** A line of the run's timeline: `who` is a node's name or what is at work, `what` is what happened. */
  tell(who: string, what: string): void;
  /**
   * A running node that nobody holds, or null when there is none. Until giveBack() nothing else touches its process, and how it
   * ends is no violation.
   */
  take(stream: Stream): TestNode | null;
  /** Started as usual unless it runs; from then on it is everybody's again, and must not end by itself. */
  giveBack(node: TestNode): void;
  /** Starts a node that does not run, with this added to its environment. */
  start(node: TestNode, environment?: Readonly<Record<string, string>>): void;
  /** Default SIGKILL. Resolves when it has ended, at once if it does not run. */
  kill(node: TestNode, signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when it has ended by itself; rejects when it has not within this time. */
  ended(node: TestNode, withinMs: number): Promise<NonNullable<TestNode["exit"]>>;
  /** Resolves when it takes part as a voter under whatever number, and is on duty; rejects when it does not within this time. */
  takesPart(node: TestNode, withinMs: number): Promise<void>;
  /** Resolves after this time, or as soon as the run wants to end. */
  pause(ms: number): Promise<void>;
}
