import { decodeConfigChange } from "../config-change.ts";
import { invariant } from "../errors.ts";
import { type ConfigChange, type Entry, type Index, Kind, type Membership, type SnapMeta, type StateMachine } from "../types.ts";

/** Entries and bytes handed to the state machine in one call; between calls the loop may turn to something else. */
const maxSliceEntries = 256;
const maxSliceBytes = 1024 * 1024;

export interface ApplyEvents {
  /** A config entry is next: the core validates and switches. Returns the membership from this entry on. */
  readonly configReached: (entry: Entry, change: ConfigChange) => Membership;
  /** The state machine has applied everything up to `index`; `bytes` of payload since the last call. */
  readonly applied: (index: Index, bytes: number, slice: readonly Entry[]) => void;
}

/** Committed entries on their way into the state machine, in order, in slices that leave the event loop alive. */
export class ApplyQueue {
  /** What the state machine shows in memory. */
  applied: Index;
  membership: Membership;

  readonly #stateMachine: StateMachine;
  readonly #events: ApplyEvents;
  #queue: Entry[] = [];
  #head = 0;
  /** Last index the core handed out: each comes once and none is skipped. */
  #handed: Index;
  #restoring = false;

  /** `handed`: what the core takes as applied; ahead of the state machine only while a snapshot is still to be restored. */
  constructor(stateMachine: StateMachine, handed: Index, membership: Membership, events: ApplyEvents) {
    this.#stateMachine = stateMachine;
    this.#events = events;
    this.applied = stateMachine.applied;
    this.#handed = handed;
    this.membership = membership;
  }

  get waiting(): number {
    return this.#queue.length - this.#head;
  }

  /** Whether `run` has something to do now. */
  get ready(): boolean {
    return !this.#restoring && this.waiting > 0;
  }

  add(entries: readonly Entry[]): void {
    for (const entry of entries) {
      invariant(entry.index === this.#handed + 1, "A9 committed entries reach the state machine in order, each once");
      this.#handed = entry.index;
      this.#queue.push(entry);
    }
  }

  /** Applies slices until nothing is left or `spent()` says that the turn's time is over. */
  run(spent: () => boolean): void {
    while (this.ready) {
      this.#applySlice();
      if (spent()) break;
    }
    if (this.#head === this.#queue.length) {
      this.#queue = [];
      this.#head = 0;
    }
  }

  /** Replaces the state by a snapshot whose place in the log is already durable. What comes after it waits meanwhile. */
  async restore(m: SnapMeta, load: () => Promise<void>): Promise<void> {
    // What was committed before the snapshot is still applied: the core counts every entry it handed out.
    this.run(() => false);
    this.#restoring = true;
    this.#handed = Math.max(this.#handed, m.id.index);
    await load();
    this.#restoring = false;
    this.applied = m.id.index;
    this.membership = m.membership;
  }

  #applySlice(): void {
    const first = this.#queue[this.#head];
    invariant(first !== undefined, "A9 there is an entry to apply");
    if (first.kind === Kind.config) {
      this.membership = this.#events.configReached(first, decodeConfigChange(first.data));
      this.#hand([first], first.data.length);
      return;
    }
    let end = this.#head;
    let bytes = 0;
    while (end < this.#queue.length && end - this.#head < maxSliceEntries) {
      const entry = this.#queue[end];
      if (entry === undefined || entry.kind === Kind.config) break;
      if (end > this.#head && bytes + entry.data.length > maxSliceBytes) break;
      bytes += entry.data.length;
      end += 1;
    }
    this.#hand(this.#queue.slice(this.#head, end), bytes);
  }

  #hand(slice: readonly Entry[], bytes: number): void {
    this.#stateMachine.apply(slice, this.membership);
    this.#head += slice.length;
    this.applied += slice.length;
    this.#events.applied(this.applied, bytes, slice);
  }
}
