/** What the simulated cluster and its nodes are called. */
export const clusterId = "51".repeat(16);
export const clusterName = "simulated";

/** Where the node of this name listens. */
export const addressOf = (name: string): string => `${name}:1`;
export const nameAt = (address: string): string => address.slice(0, address.lastIndexOf(":"));

/** What can end a process, or a round of it, without anything being wrong with it: its disk. */
export const diskEnds = /EIO|ENOSPC|LogDamaged/;
