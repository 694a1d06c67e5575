import type { Envelope } from "../types.ts";

/** Received messages that may wait for a turn; more are dropped, as a network may. Senders' windows bound their bytes. */
const maxWaiting = 65_536;
/** The clock is read once in this many messages: reading it costs as much as a step. */
const clockEvery = 16;

/** What came from the network and waits to be stepped, in order. */
export class Inbox {
  #queue: Envelope[] = [];
  #head = 0;

  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  put(envelope: Envelope): void {
    if (this.waiting < maxWaiting) this.#queue.push(envelope);
  }

  clear(): void {
    this.#queue = [];
    this.#head = 0;
  }

  /** Hands up to `max` messages to `step`, fewer when `spent()` says that the turn's time is over. Returns how many. */
  drain(max: number, spent: () => boolean, step: (envelope: Envelope) => void): number {
    let count = 0;
    while (count < max) {
      const envelope = this.#queue[this.#head];
      if (envelope === undefined) break;
      this.#head += 1;
      count += 1;
      step(envelope);
      if (count % clockEvery === 0 && spent()) break;
    }
    if (this.#head === this.#queue.length) this.clear();
    return count;
  }
}
