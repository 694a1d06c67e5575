import { encodeConfigChange } from "./config-change.ts";
import { emptyMembership } from "./core/confchange.ts";
import { Broken } from "./errors.ts";
import {
  type AppendBatch,
  type Boot,
  type Entry,
  type EntryId,
  type HardState,
  type Index,
  Kind,
  type LogStats,
  type LogStorage,
  type LogView,
  type NodeId,
  type SnapMeta,
} from "./types.ts";

/** What a {@link MemoryLog} begins with. Everything left out is empty; `entries` follow `snap`. */
export interface MemoryLogContent {
  readonly hard?: HardState;
  readonly snap?: SnapMeta;
  readonly entries?: readonly Entry[];
}

/** A log without a disk, for tests and the simulator: it survives a core, not its process. */
export interface MemoryLog extends LogStorage {
  /** The same as append, done when it returns. */
  write(batches: readonly AppendBatch[]): void;
  /** What opening this log would find; the caller adds what its state machine has. */
  boot(): Omit<Boot, "applied" | "membership">;
}

export const noSnapshot: SnapMeta = { id: { term: 0, index: 0 }, membership: emptyMembership, digest: "", bytes: 0 };

export function makeMemoryLog(content: MemoryLogContent = {}): MemoryLog {
  return new Log(content);
}

/** The log every first member of a cluster begins with: entry 1 adds all first voters and counts as committed. */
export function firstMembersLog(voters: readonly NodeId[]): MemoryLogContent {
  const changes = voters.map((id) => ({ op: "addVoter", id }) as const);
  const data = encodeConfigChange({ changes, transition: "auto", leave: false, context: new Uint8Array(0) });
  return { hard: { term: 1, vote: 0, commit: 1 }, entries: [{ term: 1, index: 1, kind: Kind.config, data }] };
}

class Log implements MemoryLog, LogView {
  readonly view: LogView = this;
  private hard: HardState;
  private snap: SnapMeta;
  /** The entry before the first one held; its term is known. */
  private base: EntryId;
  private entries: Entry[];
  private bytes = 0;
  private writes = 0;
  private syncs = 0;

  constructor(content: MemoryLogContent) {
    this.hard = content.hard ?? { term: 0, vote: 0, commit: 0 };
    this.snap = content.snap ?? noSnapshot;
    this.base = this.snap.id;
    this.entries = [...(content.entries ?? [])];
    for (const e of this.entries) this.bytes += e.data.length;
  }

  first(): Index {
    return this.base.index + 1;
  }

  last(): EntryId {
    const e = this.entries[this.entries.length - 1];
    return e === undefined ? this.base : { term: e.term, index: e.index };
  }

  term(i: Index): number | "compacted" | "beyond" {
    if (i < this.base.index) return "compacted";
    if (i === this.base.index) return this.base.term;
    return this.entries[i - this.base.index - 1]?.term ?? "beyond";
  }

  read(lo: Index, hi: Index, maxBytes: number): readonly Entry[] | "compacted" {
    if (lo <= this.base.index) return "compacted";
    const found: Entry[] = [];
    let bytes = 0;
    for (let i = lo; i < hi; i++) {
      const e = this.entries[i - this.base.index - 1];
      if (e === undefined) throw new Broken(`A1 entry ${i} lies within the log (last ${this.last().index})`);
      bytes += e.data.length;
      if (bytes > maxBytes && found.length > 0) break;
      found.push(e);
    }
    return found;
  }

  write(batches: readonly AppendBatch[]): void {
    for (const batch of batches) {
      if (batch.snap !== null) {
        if (batch.snap.id.index < this.snap.id.index)
          throw new Broken(`A12 snapshot ${batch.snap.id.index} is older than the one installed`);
        this.snap = batch.snap;
        this.base = batch.snap.id;
        this.entries = [];
      }
      if (batch.slice !== null) this.put(batch.slice.prev, batch.slice.entries);
      if (batch.hard !== null) this.hard = batch.hard;
    }
    this.writes++;
    if (batches.some((batch) => batch.sync)) this.syncs++;
  }

  append(batches: readonly AppendBatch[]): Promise<void> {
    this.write(batches);
    return Promise.resolve();
  }

  compact(upTo: Index): Promise<void> {
    const term = this.term(upTo);
    if (term === "beyond") throw new RangeError(`compaction at ${upTo}, beyond the last entry ${this.last().index}`);
    if (term === "compacted" || upTo === this.base.index) return Promise.resolve();
    this.entries = this.entries.slice(upTo - this.base.index);
    this.base = { term, index: upTo };
    return Promise.resolve();
  }

  boot(): Omit<Boot, "applied" | "membership"> {
    return { hard: this.hard, snap: this.snap, last: this.last() };
  }

  stats(): LogStats {
    return { bytes: this.bytes, writes: this.writes, syncs: this.syncs, syncP99Us: 0 };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  private put(prev: EntryId, entries: readonly Entry[]): void {
    if (this.term(prev.index) !== prev.term)
      throw new Broken(`A1 a write follows entry ${prev.index} of term ${prev.term}, which is not here`);
    this.entries.length = prev.index - this.base.index;
    for (const e of entries) {
      this.entries.push(e);
      this.bytes += e.data.length;
    }
  }
}
