/** The cluster's row as a backup tells of it. Identity and membership are not restored; of a size that differs the plan says what to do. */
import type { DomainEvent } from "../kernel/event.ts";
import type { ClusterRow } from "./state.ts";

export const observedOfCluster = ({ size: _size, ...others }: ClusterRow): unknown => others;

export const clusterRowOf = (wanted: unknown, observed: unknown): ClusterRow => {
  const { size } = wanted as { readonly size: number };
  return { ...(observed as Omit<ClusterRow, "size">), size };
};

export function restoreCluster(_id: string, now: ClusterRow | undefined, wanted: unknown): readonly DomainEvent[] | string {
  if (now === undefined) return "it is another cluster: its identity is not restored";
  if (wanted === undefined) return "the backup is of another cluster: this one keeps its identity";
  const { size } = (wanted ?? {}) as { readonly size?: unknown };
  if (size === now.size) return [];
  return `it has ${now.size} members and the backup says ${String(size)}: aether cluster scale changes that`;
}
