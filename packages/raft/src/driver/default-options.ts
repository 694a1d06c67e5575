import type { DriverOptions, Limits } from "../types.ts";

/**
 * The core's limits. Most follow etcd's server (1 MiB messages, 512 of them in flight to one peer); an entry
 * is at most 1 MiB, which is also what the event store promises its callers.
 */
export const defaultLimits: Limits = {
  maxMsgBytes: 1024 * 1024,
  maxRoundBytes: 512 * 1024,
  maxInflightMsgs: 512,
  maxInflightBytes: 16 * 1024 * 1024,
  maxUncommittedBytes: 64 * 1024 * 1024,
  maxApplyBytes: 8 * 1024 * 1024,
  maxPendingReads: 4096,
  maxEntryBytes: 1024 * 1024,
  maxMembers: 32,
};

/**
 * Milliseconds unless the name says otherwise. An election takes electionTicks..2×electionTicks ticks, so 1–2 s here as
 * in etcd, with a finer tick so that the randomised part spreads candidates better.
 */
export const defaultDriverOptions: Omit<DriverOptions, "onFatal"> = {
  tickMs: 50,
  electionTicks: 20,
  heartbeatTicks: 2,
  maxInputsPerTurn: 1024,
  maxTurnMs: 2,
  stallMs: 250,
  applyLagMax: 5000,
  applyLagBytesMax: 64 * 1024 * 1024,
};
