/** What the transport says of peers, as few lines: a peer comes up or goes down once, however often it is dialled in vain. */
import type { NodeId } from "@aether/raft/types";
import type { TransportEvent } from "../transport/peer-transport.ts";
import type { Log } from "./log.ts";

/** Refusals of one peer for one reason are told again after this long. */
const repeatMs = 60_000;

/** `now` is monotonic, in milliseconds. */
export function makePeerLog(log: Log, now: () => number): (event: TransportEvent) => void {
  const up = new Map<NodeId, boolean>();
  const told = new Map<string, number>();
  return (event) => {
    const { e, peer } = event;
    if (e === "up" || e === "down") {
      // The three channels of a peer come and go together: one of them is enough to tell.
      if (event.channel !== "control" || up.get(peer) === (e === "up")) return;
      up.set(peer, e === "up");
      return log.info(`peer-${e}`, { peer, why: e === "down" ? event.why : undefined });
    }
    const key = `${e} ${peer} ${event.why}`;
    if (now() - (told.get(key) ?? -Infinity) < repeatMs) return;
    if (told.size > 1_000) told.clear();
    told.set(key, now());
    if (e === "refused") log.warn("peer-refused", { peer, name: event.name, why: event.why });
    else log.warn("peer-snapshot-failed", { peer, index: event.index, why: event.why });
  };
}
