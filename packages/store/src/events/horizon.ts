/** Keeps the log from growing for ever: a snapshot every so many entries, then the log, history and digests behind it go. */
import type { Index, LogView, SnapshotStore } from "@aether/raft/types";
import type { ConsensusPort, EventStoreOptions } from "../types.ts";
import type { StateDisk } from "./state-disk.ts";

export interface HorizonParts {
  readonly options: EventStoreOptions;
  readonly log: LogView;
  readonly disk: StateDisk;
  readonly snapshots: SnapshotStore;
  readonly applied: () => Index;
  /** How many there are: what a snapshot costs. */
  readonly rows: () => number;
}

/**
 * A snapshot writes every row. With so many entries between two for each row, they add no more than about half of what the log
 * itself writes, however many rows there are.
 */
const entriesPerRow = 2;

export class Horizon {
  private readonly parts: HorizonParts;
  private port: ConsensusPort | null = null;
  private running: Promise<void> | null = null;
  private stopped = false;
  /** After consensus refused a snapshot, the index from which to ask again. */
  private notBefore = 0;

  constructor(parts: HorizonParts) {
    this.parts = parts;
  }

  attach(port: ConsensusPort): void {
    this.port = port;
  }

  /** Entries were applied; starts a round when enough have gathered behind the newest snapshot. */
  advanced(): void {
    const { options, snapshots, applied, rows } = this.parts;
    if (this.running !== null || this.stopped || this.port === null || applied() < this.notBefore) return;
    const behind = applied() - (snapshots.latest()?.id.index ?? 0);
    if (behind < options.snapshotEveryEntries || behind < entriesPerRow * rows()) return;
    this.running = this.round(this.port)
      .catch((error: Error) => options.onFatal(error))
      .finally(() => {
        this.running = null;
      });
  }

  stop(): void {
    this.stopped = true;
  }

  /** Resolves when no round is under way. */
  async idle(): Promise<void> {
    await this.running;
  }

  private async round(port: ConsensusPort): Promise<void> {
    const { options, log, disk, applied } = this.parts;
    let upTo: Index;
    try {
      const snapshot = await port.snapshot();
      upTo = Math.min(snapshot.id.index, disk.durable.index) - options.keepEntries;
      if (upTo >= log.first() && !this.stopped) await port.compact(upTo);
    } catch {
      // stopped, or busy with another snapshot: the log stays longer; a failing disk has ended the process elsewhere
      this.notBefore = applied() + Math.ceil(options.snapshotEveryEntries / 8);
      return;
    }
    if (!this.stopped) await disk.trim(log.first());
  }
}
