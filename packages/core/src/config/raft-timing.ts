/** Raft's clockwork and how much history is kept: one set of defaults and rules for cluster.toml and the daemon's file. */

export interface RaftTiming {
  /** Milliseconds of one tick. */
  readonly tickMs: number;
  /** Ticks without a leader before a member asks for an election; the real wait is drawn from one to two times this. */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
}

/** Heartbeats every 100 ms, elections after 1 to 2 s of silence: right for one computer and for one region. */
export const raftDefaults: RaftTiming = { tickMs: 50, electionTicks: 20, heartbeatTicks: 2 };

/** Inclusive. */
export const raftRanges = { tickMs: [5, 1_000], electionTicks: [5, 200], heartbeatTicks: [1, 40] } as const;

/** Log entries behind the newest snapshot. */
export const keepDefault = 100_000;
export const keepRange = [100, 10_000_000] as const;

/** A lost heartbeat or two must not start an election. */
export const beatsPerElectionMin = 5;

/** Why these two do not fit each other, or null. */
export function timingFault(timing: Pick<RaftTiming, "electionTicks" | "heartbeatTicks">): string | null {
  const least = timing.heartbeatTicks * beatsPerElectionMin;
  if (timing.electionTicks >= least) return null;
  return `at least ${least}: ${beatsPerElectionMin} heartbeats of ${timing.heartbeatTicks} ticks must fit into an election timeout`;
}
