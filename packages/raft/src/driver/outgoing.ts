import type { Clock, Envelope, NodeId, Transport } from "../types.ts";

/** How long an append without entries may wait for one that says the same. A heartbeat comes every 100 ms. */
const holdMs = 10;

interface Held {
  readonly envelope: Envelope;
  readonly since: number;
}

/**
 * What leaves for other members. An append without entries tells a follower no more than how far the log is committed (or asks
 * whether it is there), which the next append tells it as well; sent by itself it costs a message, an answer and a
 * turn on both sides, as much as the commit it speaks of. So it waits here, one a follower, and is dropped when something that
 * left later says the same. When nothing did within {@link holdMs}, it leaves by itself.
 *
 * A network may delay or lose any message, so consensus is as safe as before; nobody who waits for a commit waits for these.
 */
export class Outgoing {
  readonly #transport: Pick<Transport, "send">;
  readonly #clock: Clock;
  readonly #held = new Map<NodeId, Held>();
  #cancel: (() => void) | null = null;

  constructor(transport: Pick<Transport, "send">, clock: Clock) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /** Sends at once, in order, what may not wait. None of them is to this member. */
  send(envelopes: readonly Envelope[]): void {
    const leaving = envelopes.some(mayWait) ? envelopes.filter((e) => !mayWait(e)) : envelopes;
    for (const e of leaving) if (this.#held.size > 0 && says(e, this.#held.get(e.to)?.envelope)) this.#held.delete(e.to);
    if (leaving.length > 0) this.#transport.send(leaving);
    if (leaving === envelopes) return;
    for (const e of envelopes) if (mayWait(e)) this.#hold(e);
  }

  /** Sends what waits now. Before a membership changes: who is removed shall hear that it is, while it is still a peer. */
  flush(): void {
    this.#release(Number.POSITIVE_INFINITY);
  }

  stop(): void {
    this.#held.clear();
    this.#cancel?.();
    this.#cancel = null;
  }

  /** The newest takes the place of an older one, and its time: a stream of them is not put off for ever. */
  #hold(envelope: Envelope): void {
    const since = this.#held.get(envelope.to)?.since ?? this.#clock.now();
    this.#held.set(envelope.to, { envelope, since });
    this.#cancel ??= this.#clock.after(holdMs, () => this.#onTimer());
  }

  #onTimer(): void {
    this.#cancel = null;
    this.#release(this.#clock.now() - holdMs);
  }

  /** Sends what waits since `before` or longer. */
  #release(before: number): void {
    const due: Envelope[] = [];
    let oldest = Number.POSITIVE_INFINITY;
    for (const { envelope, since } of this.#held.values()) {
      if (since <= before) due.push(envelope);
      else oldest = Math.min(oldest, since);
    }
    for (const { to } of due) this.#held.delete(to);
    // A timer may come a hair early: not again and again within the same moment.
    if (this.#held.size > 0) this.#cancel ??= this.#clock.after(Math.max(1, oldest - before), () => this.#onTimer());
    if (due.length > 0) this.#transport.send(due);
  }
}

const mayWait = ({ m }: Envelope): boolean => m.t === "app" && m.entries.length === 0;

/**
 * Whether `e`, which leaves now, makes `held` superfluous. A heartbeat does not: it tells of the commit, but does not ask what the
 * follower holds. An answer that was lost, or a follower that is to be sent more again, is only found by an append that asks.
 */
function says(e: Envelope, held: Envelope | undefined): boolean {
  return held !== undefined && e.m.t === "app" && e.term >= held.term;
}
