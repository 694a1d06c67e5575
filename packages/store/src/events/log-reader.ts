/** The log as readers see it: recorded entries and audit ranges, in bounded pages that let others run in between. */
import type { DomainEvent, Identity, RecordedEntry } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import { decodeConfigChange } from "@aether/raft/config-change";
import { Kind } from "@aether/raft/types";
import type { ConfigChange, Entry, Index, LogView } from "@aether/raft/types";
import type { AuditRange, Compacted, EntriesPage, StoreTiming } from "../types.ts";
import type { AppliedState } from "./applied-state.ts";
import { chainGenesis } from "./audit-chain.ts";
import { decodeCurrent } from "./entry-codec.ts";
import type { StateDisk } from "./state-disk.ts";

export const pageEntriesMax = 1_000;
export const pageBytesMax = 4 * 1024 * 1024;
/** One synchronous read of the log; between two, others get a turn. */
const readBytes = 256 * 1024;

/** Who is named as the actor of entries that consensus makes for itself. */
const consensus: Identity = { name: "raft", role: "member" };

/** How far back the time of a no-op or membership change is looked for; there are never many in a row. */
const lookBack = 64;

/** What a reader is shown of an entry's payload. */
interface Shown {
  readonly at: number;
  readonly actor: Identity;
  readonly cause: string;
  readonly events: readonly DomainEvent[];
}

/** `at` is used for entries that carry no time of their own: that of the last entry before them that does. */
export function recordedEntry(entry: Entry, payload: Shown | null, at: number): RecordedEntry {
  const { index, term } = entry;
  if (payload === null) {
    const noop = entry.kind === Kind.noop;
    const cause = noop ? "LeaderStarted" : `MembershipChanged: ${changeInWords(decodeConfigChange(entry.data))}`;
    return { index, term, kind: noop ? "noop" : "config", at, actor: consensus, cause, events: [] };
  }
  return { index, term, kind: "events", at: payload.at, actor: payload.actor, cause: payload.cause, events: payload.events };
}

/** "learner 4 added, member 2 removed": what a membership change asked for, by member numbers. */
function changeInWords({ changes, leave }: ConfigChange): string {
  if (leave) return "the joint change is done";
  const words = { addVoter: "voter %s added", addLearner: "learner %s added", remove: "member %s removed" };
  return changes.map(({ op, id }) => words[op].replace("%s", String(id))).join(", ");
}

export interface ReaderParts {
  readonly registry: Registry;
  readonly log: LogView;
  readonly state: () => AppliedState;
  readonly disk: StateDisk;
  readonly timing: StoreTiming;
}

export class LogReader {
  private readonly parts: ReaderParts;

  constructor(parts: ReaderParts) {
    this.parts = parts;
  }

  /** One synchronous step of at most `limit` entries from `from`, as far as applied. Null when `from` is compacted. */
  step(from: Index, limit: number): readonly RecordedEntry[] | null {
    const raw = this.raw(from, limit);
    if (raw === null) return null;
    let at: number | null = null;
    return raw.map((entry) => {
      const payload = entry.kind === Kind.normal ? decodeCurrent(entry.data, this.parts.registry) : null;
      at = payload?.at ?? at ?? this.timeBefore(entry.index);
      return recordedEntry(entry, payload, at);
    });
  }

  /** At most `limit` entries, pageEntriesMax and about pageBytesMax. */
  async entries(from: Index, limit: number): Promise<EntriesPage | Compacted> {
    const entries: RecordedEntry[] = [];
    const wanted = Math.max(1, Math.min(limit, pageEntriesMax));
    const start = Math.max(1, from);
    for (let steps = 0; entries.length < wanted && steps * readBytes < pageBytesMax; steps++) {
      if (steps > 0) await this.othersTurn();
      const step = this.step(start + entries.length, wanted - entries.length);
      if (step === null && entries.length === 0) return this.compacted();
      if (step === null || step.length === 0) break;
      for (const entry of step) entries.push(entry);
    }
    return { entries, next: start + entries.length, first: this.parts.log.first(), applied: this.parts.state().applied.index };
  }

  async auditRange(from: Index, limit: number): Promise<AuditRange | Compacted> {
    const start = Math.max(1, from);
    const wanted = Math.max(1, Math.min(limit, pageEntriesMax));
    const entries: Entry[] = [];
    for (let steps = 0; entries.length < wanted && steps * readBytes < pageBytesMax; steps++) {
      if (steps > 0) await this.othersTurn();
      const step = this.raw(start + entries.length, wanted - entries.length);
      if (step === null && entries.length === 0) return this.compacted();
      if (step === null || step.length === 0) break;
      for (const entry of step) entries.push(entry);
    }
    const to = start + entries.length - 1;
    const before = await this.chainAt(start - 1);
    const after = await this.chainAt(to);
    // the digests may have been trimmed, or the state replaced, while the range was read
    if (before === undefined || after === undefined) return this.compacted();
    return {
      from: start,
      to,
      before: Buffer.from(before).toString("hex"),
      after: Buffer.from(after).toString("hex"),
      entries: entries.map(({ index, term, kind, data }) => ({ index, term, kind, data })),
    };
  }

  private chainAt(index: Index): Promise<Uint8Array | undefined> {
    return index === 0 ? Promise.resolve(chainGenesis) : this.parts.disk.chainAt(this.parts.state(), index);
  }

  private raw(from: Index, limit: number): readonly Entry[] | null {
    const end = Math.min(from + limit, this.parts.state().applied.index + 1);
    if (from < this.parts.log.first()) return null;
    if (from >= end) return [];
    const read = this.parts.log.read(from, end, readBytes);
    return read === "compacted" ? null : read;
  }

  private timeBefore(index: Index): number {
    const lowest = Math.max(this.parts.log.first(), index - lookBack);
    for (let i = index - 1; i >= lowest; i--) {
      const [entry] = this.raw(i, 1) ?? [];
      if (entry?.kind === Kind.normal) return decodeCurrent(entry.data, this.parts.registry).at;
    }
    return 0;
  }

  /** Lets waiting input and timers run. */
  private othersTurn(): Promise<void> {
    return new Promise((resolve) => this.parts.timing.immediate(resolve));
  }

  private compacted(): Compacted {
    return { compacted: true, first: this.parts.log.first() };
  }
}
