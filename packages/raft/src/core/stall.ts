import { becomeFollower } from "./roles.ts";
import type { RaftState } from "./state.ts";
import { bestSuccessor, startTransfer } from "./transfer.ts";

/**
 * The own disk hangs, or works again. Heartbeats do not touch the disk, so without this rule a leader that cannot write
 * would lead for ever: it refuses proposals at once, hands over when it stays sick, and at last steps down.
 */
export function setSick(r: RaftState, sick: boolean): void {
  r.sick = sick;
  r.sickTicks = 0;
}

export function tickStall(r: RaftState): void {
  if (!r.sick) return;
  r.sickTicks++;
  if (r.state !== "leader") return;
  const { electionTicks } = r.options;
  if (r.sickTicks > electionTicks) {
    becomeFollower(r, r.term, 0);
  } else if (r.transferee === 0 && r.sickTicks >= Math.ceil(electionTicks / 4)) {
    const successor = bestSuccessor(r);
    if (successor !== 0) startTransfer(r, successor);
  }
}
