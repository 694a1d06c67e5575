import { ChangeRefused, TransferFailed } from "../errors.ts";
import { isJoint } from "../core/confchange.ts";
import { applyConfigChange } from "../config-change.ts";
import type { Clock, ConfigChange, Entry, Index, Membership, NodeId, Role, Term } from "../types.ts";

interface PendingChange {
  readonly index: Index;
  readonly term: Term;
  readonly deadline: number;
  /** Applied, but the joint membership it made is still to be left. */
  entered: boolean;
  readonly resolve: (m: Membership) => void;
  readonly reject: (e: ChangeRefused) => void;
}

interface PendingTransfer {
  readonly to: NodeId;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (e: TransferFailed) => void;
}

/**
 * Membership changes and leadership transfers that somebody waits for. The core allows one of each at a time, so the
 * lists stay short; each entry ends by its outcome, its deadline, or the end of the driver.
 */
export class PendingOperations {
  readonly #clock: Clock;
  #changes: PendingChange[] = [];
  #transfers: PendingTransfer[] = [];
  #leader: NodeId = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Waits for the config entry (index, term) that was just proposed. */
  waitForChange(index: Index, term: Term, deadlineMs: number): Promise<Membership> {
    const deadline = this.#clock.now() + deadlineMs;
    return new Promise((resolve, reject) => this.#changes.push({ index, term, deadline, entered: false, resolve, reject }));
  }

  /** Waits until `to` is seen as leader. */
  waitForTransfer(to: NodeId, deadlineMs: number): Promise<void> {
    const deadline = this.#clock.now() + deadlineMs;
    return new Promise((resolve, reject) => this.#transfers.push({ to, deadline, resolve, reject }));
  }

  get transferring(): boolean {
    return this.#transfers.length > 0;
  }

  /** A config entry took its turn: `before` it, `after` it (equal when it was found invalid). */
  configApplied(entry: Entry, change: ConfigChange, before: Membership, after: Membership): void {
    this.#changes = this.#changes.filter((pending) => {
      if (!pending.entered) {
        if (pending.index !== entry.index) return true;
        if (pending.term !== entry.term) return this.#refuse(pending, "dropped");
        if ("reason" in applyConfigChange(before, change)) return this.#refuse(pending, "invalidAtApply");
        pending.entered = true;
      }
      if (isJoint(after)) return true;
      pending.resolve(after);
      return false;
    });
  }

  /** Everything up to `applied` is decided: a change below it that was not met there has lost its place. */
  appliedTo(applied: Index): void {
    if (this.#changes.length === 0) return;
    this.#changes = this.#changes.filter((pending) =>
      pending.entered || pending.index > applied ? true : this.#refuse(pending, "dropped"),
    );
  }

  roleChanged(self: NodeId, role: Role): void {
    this.#leader = role.leader;
    this.#transfers = this.#transfers.filter((pending) => {
      if (role.leader === 0 || role.leader === self) return true;
      if (role.leader === pending.to) pending.resolve();
      else pending.reject(new TransferFailed("elsewhere", role.leader));
      return false;
    });
  }

  /** The core gave the transfer up and this member still leads. */
  transferAborted(): void {
    for (const pending of this.#transfers) pending.reject(new TransferFailed("aborted", this.#leader));
    this.#transfers = [];
  }

  tick(): void {
    const now = this.#clock.now();
    this.#changes = this.#changes.filter((pending) => (pending.deadline > now ? true : this.#refuse(pending, "deadline")));
    this.#transfers = this.#transfers.filter((pending) => {
      if (pending.deadline > now) return true;
      pending.reject(new TransferFailed("deadline", this.#leader));
      return false;
    });
  }

  stop(): void {
    for (const pending of this.#changes) this.#refuse(pending, "stopped");
    for (const pending of this.#transfers) pending.reject(new TransferFailed("stopped", this.#leader));
    this.#changes = [];
    this.#transfers = [];
  }

  /** Returns false so that a filter drops the change. */
  #refuse(pending: PendingChange, why: ChangeRefused["why"]): false {
    pending.reject(new ChangeRefused(why, this.#leader));
    return false;
  }
}
