/**
 * Watches: whole entries in log order, each once, from any index still held. A watch that keeps up is handed entries as
 * they are applied; one that is behind, or was paused, reads on from the log. Nothing is buffered for anybody.
 */
import type { RecordedEntry } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import type { Index } from "@aether/raft/types";
import type { StoreTiming, Watch, WatchOptions } from "../types.ts";
import { nounOf } from "./applied-state.ts";
import type { LogReader } from "./log-reader.ts";

export const watchesMax = 4_096;
const stepEntries = 256;

interface Watcher {
  readonly options: WatchOptions;
  /** The next index to look at. */
  next: Index;
  /** live: handed entries by apply. behind: reads from the log. looking: asks the history about what it read. paused: waits for resume. */
  state: "live" | "behind" | "looking" | "paused" | "ended";
}

export interface WatchParts {
  readonly registry: Registry;
  readonly reader: LogReader;
  readonly applied: () => Index;
  readonly first: () => Index;
  /** Indexes of the entries about a thing from `from` on, at most `limit`; null where that is not known. */
  readonly tells: (thing: string, from: Index, limit: number) => Promise<readonly Index[] | null>;
  readonly timing: StoreTiming;
}

/** Whether what the events of an entry stand for is about the thing that is watched. */
type AlsoAbout = (entry: RecordedEntry) => boolean;
const never: AlsoAbout = () => false;

export class Watches {
  private readonly parts: WatchParts;
  private readonly watchers = new Set<Watcher>();
  private live = 0;
  private scheduled = false;

  constructor(parts: WatchParts) {
    this.parts = parts;
  }

  /** True when apply must hand over what it decoded. */
  get wanted(): boolean {
    return this.live > 0;
  }

  watch(options: WatchOptions): Watch {
    const watcher: Watcher = { options, next: Math.max(1, options.from), state: "behind" };
    if (this.watchers.size >= watchesMax) {
      this.parts.timing.immediate(() => this.end(watcher, "tooSlow"));
    } else {
      this.watchers.add(watcher);
      this.schedule();
    }
    return {
      resume: () => {
        if (watcher.state !== "paused") return;
        watcher.state = "behind";
        this.schedule();
      },
      cancel: () => this.move(watcher, "ended"),
    };
  }

  /** Entries just applied, in order, and the things of those that stand for others; only called while {@link wanted}. */
  push(entries: readonly RecordedEntry[], expanded: ReadonlyMap<Index, ReadonlySet<string>>): void {
    for (const watcher of this.watchers) {
      const { thing } = watcher.options;
      const also: AlsoAbout =
        thing === undefined || expanded.size === 0 ? never : ({ index }) => expanded.get(index)?.has(thing) === true;
      if (watcher.state === "live") this.deliver(watcher, entries, also);
    }
  }

  /** After each batch: a paused watch whose place has left the log could only be told so later; it is told now. */
  advanced(): void {
    const first = this.parts.first();
    for (const watcher of this.watchers) {
      if (watcher.state === "paused" && watcher.next < first) this.end(watcher, "tooSlow");
    }
  }

  /** The state was replaced by a snapshot: live watches have to look at the log again. */
  restored(): void {
    for (const watcher of this.watchers) if (watcher.state === "live") this.move(watcher, "behind");
    this.schedule();
  }

  stop(): void {
    for (const watcher of this.watchers) this.end(watcher, "stopped");
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    this.parts.timing.immediate(() => {
      this.scheduled = false;
      let more = false;
      for (const watcher of this.watchers) if (watcher.state === "behind") more = this.catchUp(watcher) || more;
      if (more) this.schedule();
    });
  }

  /** One step through the log; true when there is more to read. */
  private catchUp(watcher: Watcher): boolean {
    const entries = this.parts.reader.step(watcher.next, stepEntries);
    if (entries === null) {
      this.end(watcher, "compacted");
      return false;
    }
    if (this.hasToLook(watcher, entries)) return false;
    this.deliver(watcher, entries, never);
    return this.goesOn(watcher);
  }

  /** True when there is more to read. */
  private goesOn(watcher: Watcher): boolean {
    if (watcher.state !== "behind") return false;
    // a watch of the future stays in step with apply, which skips what it did not ask for
    if (watcher.next <= this.parts.applied()) return true;
    this.move(watcher, "live");
    return false;
  }

  /** What an entry's event stood for is not in the log: whether it was about the watched thing is in the history. */
  private hasToLook(watcher: Watcher, entries: readonly RecordedEntry[]): boolean {
    const { thing } = watcher.options;
    const unclear = entries.filter((entry) =>
      entry.events.some((event) => nounOf(this.parts.registry, event).expand !== undefined),
    );
    const [first] = unclear;
    if (thing === undefined || first === undefined) return false;
    this.move(watcher, "looking");
    const limit = (unclear.at(-1) as RecordedEntry).index - first.index + 1;
    const look = async (): Promise<void> => {
      const told = await this.parts.tells(thing, first.index, limit);
      if (watcher.state !== "looking") return;
      this.move(watcher, "behind");
      // where nobody knows, one entry too many does no harm
      this.deliver(watcher, entries, (entry) => (told === null ? unclear.includes(entry) : told.includes(entry.index)));
      if (this.goesOn(watcher)) this.schedule();
    };
    look().catch(() => this.end(watcher, "stopped"));
    return true;
  }

  private deliver(watcher: Watcher, entries: readonly RecordedEntry[], also: AlsoAbout): void {
    const last = entries[entries.length - 1];
    if (last === undefined || last.index < watcher.next) return;
    const { thing } = watcher.options;
    const wanted = entries.filter((entry) => entry.index >= watcher.next && (this.about(entry, thing) || also(entry)));
    watcher.next = last.index + 1;
    if (wanted.length > 0 && !watcher.options.onEntries(wanted, this.parts.applied()) && watcher.state !== "ended") {
      this.move(watcher, "paused");
    }
  }

  private about(entry: RecordedEntry, thing: string | undefined): boolean {
    return (
      thing === undefined || entry.events.some((event) => `${nounOf(this.parts.registry, event).name}/${event.id}` === thing)
    );
  }

  private end(watcher: Watcher, why: "compacted" | "stopped" | "tooSlow"): void {
    if (watcher.state === "ended") return;
    this.move(watcher, "ended");
    watcher.options.onEnd(why, this.parts.first());
  }

  private move(watcher: Watcher, state: Watcher["state"]): void {
    if (watcher.state === "live") this.live--;
    if (state === "live") this.live++;
    watcher.state = state;
    if (state === "ended") this.watchers.delete(watcher);
  }
}
