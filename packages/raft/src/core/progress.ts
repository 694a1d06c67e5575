import { invariant } from "../errors.ts";
import type { Index, Limits, NodeId, Progress } from "../types.ts";
import { Inflights } from "./inflights.ts";

/**
 * What this member knows of one other (or of itself).
 *
 * probe: the follower's log is unknown; one append at a time until it accepts one. replicate: it accepted; appends are
 * sent ahead of their acks, `next` runs ahead of `match` within the window. snapshot: it needs entries that are
 * compacted here; nothing is sent until the snapshot's outcome is known.
 */
export class PeerProgress {
  readonly id: NodeId;
  state: Progress["state"] = "probe";
  match: Index = 0;
  next: Index;
  /** In the snapshot state: the least index the snapshot on its way has. */
  pendingSnapshot: Index = 0;
  /** Highest commit index this follower was told, so that an empty append is sent only when it brings news. */
  sentCommit: Index = 0;
  /** Heard from since the last check of the quorum. */
  active = false;
  /** It was in the period before: at the beginning of one nobody has been heard yet. */
  wasActive = false;
  /** No more appends until something is heard: a probe is out, or the window is full. */
  flowPaused = false;
  /** Probes with entries since `next` was last set: see {@link probedEnough}. */
  private probes = 0;
  learner = false;
  /** Its answer in the election under way. */
  ballot: boolean | undefined = undefined;
  /** Highest read position it confirmed for this leader. */
  readAck = 0;
  readonly inflights: Inflights;

  constructor(id: NodeId, next: Index, limits: Pick<Limits, "maxInflightMsgs" | "maxInflightBytes">) {
    this.id = id;
    this.next = next;
    this.inflights = new Inflights(limits.maxInflightMsgs, limits.maxInflightBytes);
  }

  /** Back to knowing nothing, for a new term. */
  reset(next: Index, match: Index): void {
    this.enter("probe");
    this.match = match;
    this.next = next;
    this.sentCommit = 0;
    this.active = false;
    this.wasActive = false;
    this.readAck = 0;
  }

  /** The leader looks anew who is there. */
  beginPeriod(): void {
    this.wasActive = this.active;
    this.active = false;
  }

  becomeProbe(): void {
    const installed = this.state === "snapshot" ? this.pendingSnapshot : 0;
    this.enter("probe");
    this.next = Math.max(this.match, installed) + 1;
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
  }

  becomeReplicate(): void {
    this.enter("replicate");
    this.next = this.match + 1;
  }

  becomeSnapshot(atLeast: Index): void {
    this.enter("snapshot");
    this.pendingSnapshot = atLeast;
    this.next = atLeast + 1;
    this.sentCommit = atLeast;
  }

  isPaused(): boolean {
    return this.state === "snapshot" || this.flowPaused;
  }

  /** An append with `count` entries of `bytes` payload left, starting at `next`. */
  sent(count: number, bytes: number): void {
    if (this.state === "replicate") {
      if (count > 0) {
        this.next += count;
        this.inflights.add(this.next - 1, bytes);
      }
      this.flowPaused = this.inflights.full();
    } else {
      invariant(this.state === "probe", "A7 no append is sent while a snapshot is on its way");
      if (count > 0) this.flowPaused = true;
      if (count > 0) this.probes++;
    }
  }

  /**
   * A probe and its repetition are out. A lost one would have been answered by now, so the follower is slow, with a snapshot to load
   * perhaps: from here on one entry asks the same, and it is not sent a whole message of them with every heartbeat.
   */
  get probedEnough(): boolean {
    return this.state === "probe" && this.probes >= 2;
  }

  /** True when telling the follower `commit` would let it commit more of what it has (or was sent). */
  canBumpCommit(commit: Index): boolean {
    return commit > this.sentCommit && this.sentCommit < this.next - 1;
  }

  /** The follower acknowledged everything up to `index`. False when that is no news. */
  ackedTo(index: Index): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = Math.max(this.next, index + 1);
    this.flowPaused = false;
    return true;
  }

  /**
   * The follower refused an append anchored at `rejected` and hints that logs may agree up to `hint`.
   * False when the refusal is stale (it answers an append that was overtaken).
   */
  rejectedAt(rejected: Index, hint: Index): boolean {
    if (this.state === "replicate") {
      if (rejected <= this.match) return false;
      this.next = this.match + 1;
    } else {
      if (this.next - 1 !== rejected) return false;
      this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1);
      this.probes = 0;
      this.flowPaused = false;
    }
    this.sentCommit = Math.min(this.sentCommit, this.next - 1);
    return true;
  }

  view(): Progress {
    return {
      state: this.state,
      match: this.match,
      next: this.next,
      inflight: this.inflights.count,
      paused: this.isPaused(),
      learner: this.learner,
      active: this.active || this.wasActive,
    };
  }

  private enter(state: Progress["state"]): void {
    this.flowPaused = false;
    this.probes = 0;
    this.pendingSnapshot = 0;
    this.state = state;
    this.inflights.reset();
  }
}
