/**
 * Everything that applying the log makes: rows, remembered answers, history, audit chain. Deterministic and synchronous;
 * the disk follows behind.
 */
import { createHash } from "node:crypto";
import type { DomainEvent, EventContext } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import { invariant } from "@aether/raft/errors";
import { Kind } from "@aether/raft/types";
import type { Entry, EntryId, Membership } from "@aether/raft/types";
import type { StateDigest } from "../types.ts";
import { AuditTrail, chainGenesis } from "./audit-chain.ts";
import { readEntry } from "./entry-reader.ts";
import type { ReadEntry } from "./entry-reader.ts";
import { HistoryIndex } from "./history-index.ts";
import { Rows } from "./rows.ts";
import { Sessions, sessionLimits } from "./sessions.ts";

export const emptyMembership: Membership = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

const checkpointsMax = 64;

/** The parts of a state, for one read back from disk or a snapshot. */
export interface StateParts {
  readonly rows: Rows;
  readonly sessions: Sessions;
  readonly trail: AuditTrail;
  readonly applied: EntryId;
  readonly membership: Membership;
  /** `at` of the last entry, Unix milliseconds. */
  readonly at: number;
  readonly checkpoints: readonly StateDigest[];
}

/** An entry as it was applied. */
export type AppliedEntry = ReadEntry & {
  /** The things, "noun/id", that were changed by what its events stand for; not there when they stand for themselves alone. */
  readonly expanded?: ReadonlySet<string>;
};

export class AppliedState {
  readonly registry: Registry;
  readonly rows: Rows;
  readonly sessions: Sessions;
  readonly trail: AuditTrail;
  readonly history = new HistoryIndex();
  applied: EntryId;
  membership: Membership;
  at: number;
  checkpoints: readonly StateDigest[];
  private readonly isCheckpoint: (e: DomainEvent) => boolean;

  constructor(registry: Registry, isCheckpoint: (e: DomainEvent) => boolean, parts: StateParts) {
    this.registry = registry;
    this.isCheckpoint = isCheckpoint;
    this.rows = parts.rows;
    this.sessions = parts.sessions;
    this.trail = parts.trail;
    this.applied = parts.applied;
    this.membership = parts.membership;
    this.at = parts.at;
    this.checkpoints = parts.checkpoints;
  }

  /**
   * Applies the next entry; the things it changed are added to `changed`. Returns what the entry says, null for a no-op or a
   * membership change; an entry with an event that stands for others comes with the things that these changed. Throws on a gap and
   * on an event that this build does not know.
   */
  apply(entry: Entry, changed: Set<string>): AppliedEntry | null {
    const { index, term, kind, data } = entry;
    invariant(index === this.applied.index + 1, "entries are applied in order, without gaps");
    this.trail.append(index, term, kind, data);
    this.applied = { index, term };
    if (kind !== Kind.normal) return null;
    const read = readEntry(data, this.registry);
    const { at, actor, events, request } = read;
    invariant(at >= this.at, "the time of entries does not go back");
    this.at = at;
    const context = { index, at, actor };
    let checkpoint = false;
    let expanded: Set<string> | null = null;
    for (const event of events) {
      const noun = nounOf(this.registry, event);
      const thing = this.rows.evolve(noun, event, context);
      this.history.add(thing, index);
      changed.add(thing);
      checkpoint ||= this.isCheckpoint(event);
      if (noun.expand !== undefined) expanded = this.expand(noun.expand(event, this.rows), context, changed, expanded);
    }
    if (request !== null) this.sessions.remember(request, index);
    if (checkpoint) this.checkpoints = [...this.checkpoints, this.digest()].slice(-checkpointsMax);
    return expanded === null ? read : { ...read, expanded };
  }

  /** What one event stands for: the one place where an entry's events are not in the entry. Adds the things to both sets. */
  private expand(
    events: Iterable<DomainEvent>,
    context: EventContext,
    changed: Set<string>,
    into: Set<string> | null,
  ): Set<string> | null {
    let expanded = into;
    for (const raw of events) {
      const event = this.registry.upcast(raw);
      const thing = this.rows.evolve(nounOf(this.registry, event), event, context);
      this.history.add(thing, context.index);
      changed.add(thing);
      expanded ??= new Set();
      expanded.add(thing);
    }
    return expanded;
  }

  /** The same on every member at the same index, however it came there. Costs one hash per row changed since the last call. */
  digest(): StateDigest {
    const { count, a, b } = this.rows.settle();
    const digest = createHash("sha256")
      .update(`${this.applied.index} ${this.applied.term} ${this.at} ${count} ${a} ${b} ${this.sessions.digest()} `)
      .update(this.trail.head)
      .digest("hex");
    return { index: this.applied.index, digest };
  }
}

/** The noun an event is about. Throws on an unknown type. */
export function nounOf(registry: Registry, event: DomainEvent): Noun {
  const noun = registry.nounOf(event.type);
  invariant(noun !== undefined, `event type ${event.type} is registered`);
  return noun;
}

/** The state before entry 1. */
export function emptyState(registry: Registry, isCheckpoint: (e: DomainEvent) => boolean): AppliedState {
  return new AppliedState(registry, isCheckpoint, {
    rows: new Rows(
      registry.nouns.map((n) => n.name),
      null,
    ),
    sessions: new Sessions(sessionLimits),
    trail: new AuditTrail(1, chainGenesis, 0, chainGenesis),
    applied: { index: 0, term: 0 },
    membership: emptyMembership,
    at: 0,
    checkpoints: [],
  });
}
