import type { NodeId, Refusal } from "./types.ts";

/** An invariant of consensus does not hold. The process must end: nothing it knows can be trusted any more. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** Throws {@link Broken} when `condition` is false. `rule` names the invariant, e.g. "A6 commit advances only to an own-term entry". */
export function invariant(condition: boolean, rule: string): asserts condition {
  if (!condition) throw new Broken(rule);
}

/** A linearizable read could not be confirmed in time or leadership changed; safe to try again. */
export class ReadFailed extends Error {
  override readonly name = "ReadFailed";
  readonly why: "deadline" | "noLeader" | "readQuota" | "roleChanged" | "stopped";
  constructor(why: ReadFailed["why"]) {
    super(`read not confirmed: ${why}`);
    this.why = why;
  }
}

/** An older snapshot is still being sent, and the store would drop it for one more. Ask again later. */
export class SnapshotBusy extends Error {
  override readonly name = "SnapshotBusy";
  constructor() {
    super("an older snapshot is still being sent to a member");
  }
}

/** A membership change was not taken, or was taken and found invalid when applied. */
export class ChangeRefused extends Error {
  override readonly name = "ChangeRefused";
  readonly why: Refusal | "deadline" | "invalidAtApply" | "dropped" | "stopped";
  readonly leader: NodeId;
  constructor(why: ChangeRefused["why"], leader: NodeId) {
    super(`membership change refused: ${why}`);
    this.why = why;
    this.leader = leader;
  }
}

/** Leadership did not move to the member that was asked for; the old leader may go on, or another took over. */
export class TransferFailed extends Error {
  override readonly name = "TransferFailed";
  readonly why: Refusal | "deadline" | "aborted" | "elsewhere" | "stopped";
  readonly leader: NodeId;
  constructor(why: TransferFailed["why"], leader: NodeId) {
    super(`leadership transfer failed: ${why}`);
    this.why = why;
    this.leader = leader;
  }
}
