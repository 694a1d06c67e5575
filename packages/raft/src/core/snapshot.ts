import type { Index, NodeId, SnapMeta } from "../types.ts";
import { switchMembership } from "./membership.ts";
import { dropOwnFrom } from "./proposals.ts";
import type { RaftState } from "./state.ts";

/**
 * A follower is offered a snapshot whose data is durable here already. It replaces the log when it is ahead of it; when the
 * log holds the snapshot's last entry, only the commit index moves; what is committed is never rewound.
 */
export function onSnapOffer(r: RaftState, from: NodeId, meta: SnapMeta): void {
  const { log } = r;
  if (meta.id.index > log.committed) {
    if (log.matches(meta.id)) log.commitTo(meta.id.index);
    else restore(r, meta);
  }
  r.send(from, { t: "appResp", index: log.committed, reject: null });
}

/** The leader hears how sending a snapshot at `index` to `to` ended. Either way the follower is probed when it is next heard. */
export function onSnapStatus(r: RaftState, to: NodeId, index: Index, ok: boolean): void {
  const peer = r.tracker.find(to);
  if (r.state !== "leader" || peer === undefined || peer.state !== "snapshot") return;
  peer.pendingSnapshot = ok ? Math.max(index, peer.pendingSnapshot) : 0;
  peer.becomeProbe();
  peer.flowPaused = true;
}

function restore(r: RaftState, meta: SnapMeta): void {
  dropOwnFrom(r, r.log.committed + 1);
  r.log.restore(meta);
  r.configFloor = meta.id.index;
  switchMembership(r, meta.membership);
}
