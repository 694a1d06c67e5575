import { invariant, SnapshotBusy } from "../errors.ts";
import type { Clock, Index, LogView, NodeId, SnapMeta, SnapshotStore, StateMachine, Term, Transport } from "../types.ts";

/** Snapshots on their way out at once, over all peers; one per peer. More peers wait their turn. */
const maxStreams = 2;
/** A stream keeps the log it will need afterwards for this long at most. */
const pinMs = 10 * 60 * 1000;
/** A snapshot that a follower refuses is read again, for it may be the file here that is altered; not more often than this. */
const checkMs = 10 * 1000;
/** After a snapshot was installed its log is kept this long, so that the follower can go on from it (etcd's figure). */
const pinAfterMs = 30 * 1000;

export interface KeeperPorts {
  readonly stateMachine: StateMachine;
  readonly snapshots: SnapshotStore;
  readonly transport: Transport;
  readonly log: LogView;
  readonly clock: Clock;
  /** What the state machine shows in memory. */
  readonly applied: () => Index;
  /** A stream ended; the core must hear of every one it asked for. */
  readonly streamEnded: (to: NodeId, index: Index, ok: boolean) => void;
  readonly failed: (e: Error) => void;
}

interface Pin {
  readonly index: Index;
  /** Its snapshot is being sent right now. */
  live: boolean;
  until: number;
}

/**
 * Makes snapshots (one at a time), streams them to followers that need one, and keeps the log from being cut under a
 * follower that is being served.
 */
export class SnapshotKeeper {
  readonly #ports: KeeperPorts;
  readonly #streams = new Map<NodeId, Promise<void>>();
  /** Peers that wait for a free stream: their core-given least index and the leader's term. */
  readonly #waiting = new Map<NodeId, { atLeast: Index; term: Term }>();
  readonly #pins = new Map<NodeId, Pin>();
  #creating: Promise<SnapMeta> | null = null;
  #restoring: Promise<void> | null = null;
  #stopped = false;
  #checkedAt = Number.NEGATIVE_INFINITY;

  constructor(ports: KeeperPorts) {
    this.#ports = ports;
  }

  /**
   * A snapshot of the state as it is now, or the one being made. A failure ends the process: the disk cannot be trusted.
   * A store keeps the newest two, so while the older of them is being sent another one is refused with SnapshotBusy.
   */
  create(): Promise<SnapMeta> {
    const { clock, snapshots } = this.#ports;
    const newest = snapshots.latest()?.id.index ?? 0;
    const older = [...this.#pins.values()].some(({ index, live, until }) => live && index < newest && until > clock.now());
    return older && this.#creating === null ? Promise.reject(new SnapshotBusy()) : this.#createNow();
  }

  #createNow(): Promise<SnapMeta> {
    this.#creating ??= this.#make().finally(() => {
      this.#creating = null;
    });
    return this.#creating;
  }

  /** Loads a received snapshot into the state machine, never while one is being made from it. */
  async restore(m: SnapMeta): Promise<void> {
    await this.#creating?.catch(() => undefined);
    this.#restoring = this.#ports.stateMachine.restore(m, this.#ports.snapshots);
    await this.#restoring;
    this.#restoring = null;
  }

  /** `to` needs a snapshot of index `atLeast` or newer; asked by the leader of `term`. */
  serve(to: NodeId, atLeast: Index, term: Term): void {
    if (this.#stopped) return;
    if (this.#streams.has(to) || this.#streams.size >= maxStreams) {
      this.#waiting.set(to, { atLeast, term });
      return;
    }
    const stream = this.#stream(to, atLeast, term)
      .catch((e: unknown) => this.#ports.failed(e instanceof Error ? e : new Error(String(e))))
      .finally(() => {
        this.#streams.delete(to);
        this.#next();
      });
    this.#streams.set(to, stream);
  }

  /** Leadership is lost: who still waits will be served by the next leader. */
  forgetWaiting(): void {
    this.#waiting.clear();
  }

  /** The lowest index that may be compacted up to, as far as followers being served are concerned. */
  pinned(): Index {
    const now = this.#ports.clock.now();
    let lowest = Number.MAX_SAFE_INTEGER;
    for (const [to, pin] of this.#pins) {
      if (pin.until <= now) this.#pins.delete(to);
      else lowest = Math.min(lowest, pin.index);
    }
    return lowest;
  }

  /** Ends when nothing runs any more. The transport must have been told to drop its peers first. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    await Promise.allSettled([this.#creating, this.#restoring, ...this.#streams.values()]);
  }

  async #make(): Promise<SnapMeta> {
    await this.#restoring;
    try {
      const made = await this.#ports.stateMachine.snapshot(this.#ports.snapshots);
      invariant(made.id.index <= this.#ports.applied(), "A12 a snapshot covers only what is applied");
      return made;
    } catch (e) {
      this.#ports.failed(e instanceof Error ? e : new Error(String(e)));
      throw e;
    }
  }

  async #stream(to: NodeId, atLeast: Index, term: Term): Promise<void> {
    const m = await this.#fitting(atLeast);
    const pin = { index: m.id.index, live: true, until: this.#ports.clock.now() + pinMs };
    this.#pins.set(to, pin);
    const ok = !this.#stopped && (await this.#sent(to, m, term));
    pin.live = false;
    if (ok) pin.until = Math.min(pin.until, this.#ports.clock.now() + pinAfterMs);
    else this.#pins.delete(to);
    this.#ports.streamEnded(to, m.id.index, ok);
  }

  /** False also when the store dropped it on the way: the follower then needs a newer one. Rejects when it cannot be read. */
  async #sent(to: NodeId, m: SnapMeta, term: Term): Promise<boolean> {
    const { transport, snapshots } = this.#ports;
    try {
      const outcome = await transport.sendSnapshot(to, m, snapshots, term);
      if (outcome === "refused") await this.#check(m);
      return outcome === "installed";
    } catch (e) {
      if (snapshots.has(m)) throw e;
      return false;
    }
  }

  /** What is altered is dropped, and the next who needs one gets another; it would be sent and refused for ever. */
  async #check(m: SnapMeta): Promise<void> {
    const { clock, snapshots } = this.#ports;
    if (this.#stopped || clock.now() - this.#checkedAt < checkMs) return;
    this.#checkedAt = clock.now();
    await snapshots.check(m);
  }

  /** The newest snapshot if a follower could go on from it with the log held here; otherwise a new one. */
  async #fitting(atLeast: Index): Promise<SnapMeta> {
    const newest = this.#ports.snapshots.latest();
    if (newest !== null && newest.id.index >= Math.max(atLeast, this.#ports.log.first() - 1)) return newest;
    return this.#createNow();
  }

  #next(): void {
    for (const [to, { atLeast, term }] of this.#waiting) {
      if (this.#streams.size >= maxStreams) return;
      if (this.#streams.has(to)) continue;
      this.#waiting.delete(to);
      this.serve(to, atLeast, term);
    }
  }
}
