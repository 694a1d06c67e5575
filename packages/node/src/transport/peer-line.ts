/**
 * All that goes out to one peer: three links, the bounded queue of appends, and the few control messages that wait.
 *
 * While a link is open its queue is the socket's own; ours holds messages only while the connection is being made. A
 * network may lose anything, so a queue is dropped when its connection attempt fails: consensus sends anew.
 */
import type { Envelope, NodeId, Peer } from "@aether/raft/types";
import { encodeFrames, type Route } from "./frames.ts";
import type { Channel } from "./handshake.ts";
import { Link, type LinkContext } from "./link.ts";
import { messageBytes } from "./message-codec.ts";

export interface PeerLineHooks {
  /** Frames that the peer sent back on a connection of ours. */
  received(data: Buffer): void;
  /** A frame instead of a greeting. */
  parting(data: Buffer): void;
  heard(): void;
  /** Told once for each stretch of time in which appends were lost. */
  unreachable(): void;
  /** Nothing listens at its address. */
  nobody(): void;
  changed(channel: Channel, up: boolean, why: string): void;
  snapshotWord(data: Buffer): void;
  snapshotLink(up: boolean): void;
}

export interface LineStats {
  readonly rttMs: number | null;
  readonly queuedMessages: number;
  readonly queuedBytes: number;
  /** Messages dropped since start because a queue was full or there was no connection. */
  readonly drops: number;
  readonly open: Readonly<Record<Channel, boolean>>;
}

export class PeerLine {
  readonly peer: Peer;
  readonly snapshot: Link;
  readonly #context: LinkContext;
  readonly #hooks: PeerLineHooks;
  readonly #route: Route;
  readonly #append: Link;
  readonly #control: Link;
  #appendStage: Envelope[] = [];
  #controlStage: Envelope[] = [];
  #waiting: Envelope[] = [];
  #waitingBytes = 0;
  readonly #held = new Map<string, Envelope>();
  /** Full once, it stays closed to appends until half empty: a trickle of every other append would help nobody. */
  #full = false;
  #told = false;
  #drops = 0;

  constructor(context: LinkContext, route: Omit<Route, "to">, peer: Peer, hooks: PeerLineHooks) {
    this.peer = peer;
    this.#context = context;
    this.#hooks = hooks;
    this.#route = { ...route, to: peer.id };
    this.#append = this.#link(
      "append",
      () => this.#flushWaiting(),
      () => undefined,
    );
    this.#control = this.#link(
      "control",
      () => this.#flushHeld(),
      () => this.#flushHeld(),
    );
    this.snapshot = this.#link(
      "snapshot",
      () => hooks.snapshotLink(true),
      () => undefined,
    );
  }

  get id(): NodeId {
    return this.peer.id;
  }

  /** Takes one message of a turn; {@link flush} sends the turn. */
  stage(e: Envelope): void {
    if (isAppend(e)) this.#appendStage.push(e);
    else this.#controlStage.push(e);
  }

  flush(): void {
    if (this.#controlStage.length > 0) {
      const batch = this.#controlStage;
      this.#controlStage = [];
      this.#sendControl(batch);
    }
    if (this.#appendStage.length > 0) {
      const batch = this.#appendStage;
      this.#appendStage = [];
      this.#sendAppends(batch);
    }
  }

  sweep(now: number, judging: boolean): void {
    for (const link of [this.#append, this.#control, this.snapshot]) link.sweep(now, judging);
  }

  outlive(current: number): void {
    for (const link of [this.#append, this.#control, this.snapshot]) link.outlive(current);
  }

  stop(): void {
    for (const link of [this.#append, this.#control, this.snapshot]) link.stop();
  }

  stats(): LineStats {
    return {
      rttMs: this.#control.rttMs,
      queuedMessages: this.#append.queuedMessages + this.#waiting.length + this.#held.size,
      queuedBytes: this.#append.queuedBytes + this.#waitingBytes + this.#control.queuedBytes,
      drops: this.#drops,
      open: { append: this.#append.open, control: this.#control.open, snapshot: this.snapshot.open },
    };
  }

  #link(channel: Channel, opened: () => void, drained: () => void): Link {
    return new Link(this.#context, channel, this.peer, {
      opened: () => {
        this.#hooks.changed(channel, true, "");
        opened();
      },
      closed: (wasOpen, why) => {
        this.#closed(channel);
        this.#hooks.changed(channel, false, why);
        if (wasOpen && channel === "snapshot") this.#hooks.snapshotLink(false);
      },
      nobody: () => this.#hooks.nobody(),
      message: (data, isBinary) => {
        if (isBinary) this.#hooks.received(data);
        else if (channel === "snapshot") this.#hooks.snapshotWord(data);
      },
      parting: (data) => this.#hooks.parting(data),
      drained,
      heard: () => this.#hooks.heard(),
    });
  }

  #closed(channel: Channel): void {
    if (channel === "control") {
      this.#drops += this.#held.size;
      this.#held.clear();
    }
    if (channel !== "append") return;
    this.#drops += this.#waiting.length;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#full = false;
    // Whatever was on its way is lost, and consensus should look where the peer stands.
    this.#tellOnce();
  }

  #sendAppends(batch: readonly Envelope[]): void {
    const link = this.#append;
    const { queueMessages, queueBytes } = this.#context.limits;
    if (!link.open && !link.dialling) return this.#refuse(batch.length);
    let messages = link.open ? link.queuedMessages : this.#waiting.length;
    let bytes = link.open ? link.queuedBytes : this.#waitingBytes;
    if (this.#full && messages <= queueMessages / 2 && bytes <= queueBytes / 2) this.#full = false;
    let taken = 0;
    let takenBytes = 0;
    while (!this.#full && taken < batch.length) {
      const size = messageBytes(batch[taken]!.m);
      if (messages + 1 > queueMessages || bytes + size > queueBytes) {
        this.#full = true;
        break;
      }
      messages += 1;
      bytes += size;
      takenBytes += size;
      taken += 1;
    }
    if (taken > 0) {
      const fitting = taken === batch.length ? batch : batch.slice(0, taken);
      if (link.open) {
        this.#told = false;
        link.send(encodeFrames(this.#route, fitting));
      } else {
        for (const e of fitting) this.#waiting.push(e);
        this.#waitingBytes += takenBytes;
      }
    }
    if (taken < batch.length) this.#refuse(batch.length - taken);
  }

  #refuse(messages: number): void {
    this.#drops += messages;
    this.#tellOnce();
  }

  /** Not from inside send(): the core may be in the middle of a step. */
  #tellOnce(): void {
    if (this.#told) return;
    this.#told = true;
    queueMicrotask(() => this.#hooks.unreachable());
  }

  #flushWaiting(): void {
    this.#told = false;
    if (this.#waiting.length === 0) return;
    const batch = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#append.send(encodeFrames(this.#route, batch));
  }

  #sendControl(batch: readonly Envelope[]): void {
    if (this.#control.open && this.#held.size === 0 && this.#control.queuedBytes < this.#context.limits.controlBytes) {
      return this.#control.send(encodeFrames(this.#route, batch));
    }
    for (const e of batch) {
      const key = waitingKey(e);
      const replaced = this.#held.delete(key);
      if (!replaced && this.#held.size >= this.#context.limits.controlMessages) this.#drops += 1;
      else this.#held.set(key, e);
    }
    this.#flushHeld();
  }

  #flushHeld(): void {
    if (this.#held.size === 0 || !this.#control.open) return;
    if (this.#control.queuedBytes >= this.#context.limits.controlBytes) return;
    const batch = [...this.#held.values()];
    this.#held.clear();
    this.#control.send(encodeFrames(this.#route, batch));
  }
}

/** What needs order among itself: appends, and the answers that move a leader's picture of a follower. */
export const isAppend = (e: Envelope): boolean => e.m.t === "app" || e.m.t === "appResp" || e.m.t === "snapOffer";

/** Reads wait side by side; of everything else only the newest of its type is worth sending. */
function waitingKey(e: Envelope): string {
  return e.m.t === "readIndex" || e.m.t === "readIndexResp" ? `${e.m.t} ${e.m.key}` : e.m.t;
}
