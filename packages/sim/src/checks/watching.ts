/**
 * A reader that follows the whole log through whichever member runs, and holds the store to its word: entries in order,
 * each once, whole, none left out, the same as were committed; a place that is gone is said to be gone.
 */
import type { RecordedEntry } from "@aether/core/kernel/event";
import type { EventStore, Watch } from "@aether/store/types";
import type { Stream } from "../world/stream.ts";
import type { Process, World } from "../world/world.ts";
import type { History } from "./history.ts";
import { hold } from "./violation.ts";

const rule = "watch";

/** A slow reader rests this long when it says that it is full. */
const restMs = 150;

export class Watcher {
  /** Next index wanted. */
  next = 1;
  readonly counts = { entries: 0, compacted: 0, resumed: 0, rests: 0 };
  readonly #world: World;
  readonly #history: History;
  readonly #stream: Stream;
  #watch: Watch | null = null;
  #at: Process | null = null;

  constructor(world: World, history: History, stream: Stream) {
    this.#world = world;
    this.#history = history;
    this.#stream = stream;
  }

  /** Whether it reads at a process that still runs. */
  get attached(): boolean {
    return this.#at?.alive === true;
  }

  /** Goes on where it stopped, at this member. */
  attach(store: EventStore, process: Process): void {
    if (this.attached) this.#watch?.cancel();
    if (this.next > 1) this.counts.resumed += 1;
    this.#at = process;
    const watch = store.watch({
      from: this.next,
      onEntries: (entries) => {
        for (const entry of entries) this.#see(entry);
        if (!this.#stream.chance(0.05)) return true;
        this.counts.rests += 1;
        this.#world.after(this.#stream.around(restMs), process, "rested", () => watch.resume());
        return false;
      },
      onEnd: (why, first) => {
        this.#at = null;
        if (why === "stopped") return;
        hold(first > this.next, rule, () => `entry ${this.next} is called ${why}, but ${first} is the first held`);
        this.counts.compacted += 1;
        this.next = first;
      },
    });
    this.#watch = watch;
  }

  #see({ index, term, events }: RecordedEntry): void {
    hold(index === this.next, rule, () => `entry ${index} comes where ${this.next} belongs`);
    const known = this.#history.committed.get(index);
    hold(known?.term === term, rule, () => `entry ${index} is shown in term ${term}, committed in ${known?.term ?? "none"}`);
    hold(known?.events === events.length, rule, () => `entry ${index} is shown with ${events.length} of ${known?.events} events`);
    this.counts.entries += 1;
    this.next = index + 1;
  }
}
