/** Whether a backup's manifest is of this cluster's history: its digest of the audit chain against the one that this member computed. */
import type { Manifest } from "@aether/core/backup/manifest";
import { keptEntryOf, theCluster } from "@aether/core/cluster/state";
import type { EventStore } from "@aether/store/types";

export interface AuditCheck {
  readonly checked: boolean;
  /** What came of it, or why it cannot be said. */
  readonly why: string;
  /** False only when it was checked and differs. */
  readonly agrees: boolean;
}

const unchecked = (why: string): AuditCheck => ({ checked: false, why, agrees: true });

export async function checkAudit(
  { cluster, index, chain }: Manifest,
  store: Pick<EventStore, "world" | "auditHead" | "auditRange" | "applied">,
): Promise<AuditCheck> {
  const own = theCluster(store.world)?.row;
  if (own === undefined || (own.clusterId !== cluster.id && !keptEntryOf(own, cluster.id, index)))
    return unchecked(`it is of another cluster, ${cluster.name} (${cluster.id}), or of entries that were lost`);
  const here = await chainAt(store, index);
  if ("why" in here) return unchecked(here.why);
  if (here.chain === chain) return { checked: true, why: `the audit chain at index ${index} is the manifest's`, agrees: true };
  const why = `at index ${index} the manifest has another audit chain than this cluster: it was edited, or is of another history`;
  return { checked: true, why, agrees: false };
}

async function chainAt(
  store: Pick<EventStore, "auditHead" | "auditRange" | "applied">,
  index: number,
): Promise<{ readonly chain: string } | { readonly why: string }> {
  const head = store.auditHead();
  if (head.index === index) return { chain: head.chain };
  if (head.index < index)
    return { why: `this member has applied the log up to ${head.index}, and the backup is of index ${index}` };
  const after = await store.auditRange(index + 1, 1);
  if (!("compacted" in after)) return { chain: after.before };
  return { why: `entries before ${after.first} are no longer held, and the backup is of index ${index}` };
}
