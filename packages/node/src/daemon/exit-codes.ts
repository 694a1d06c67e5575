/** How `aetherd` ends. The table for people is in docs/internals/members.md. */
export const exitCodes = {
  /** Stopped as asked, or shut down through the cluster. */
  done: 0,
  /** The command line or the configuration cannot be used. */
  usage: 2,
  /** The disk failed or an invariant did not hold. */
  fatal: 70,
  /** This member's world differs from the quorum's. */
  differs: 71,
  /** This member's number is no longer part of the cluster. */
  removed: 72,
  /** The address or the data folder is in use by another process. */
  inUse: 73,
  /** A machine that was to become a node, and nobody made it one. */
  notEnrolled: 74,
} as const;
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
