/**
 * Everything that applying the log makes: rows, remembered answers, history, audit chain. Deterministic and synchronous;
 * the disk follows behind.
 */
import { createHash } from "node:crypto";
import type { DomainEvent, EntryPayload } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import { invariant } from "@aether/raft/errors";
import { Kind } from "@aether/raft/types";
import type { Entry, EntryId, Membership } from "@aether/raft/types";
import type { StateDigest } from "../types.ts";
import { AuditTrail, chainGenesis } from "./audit-chain.ts";
import { decodeCurrent } from "./entry-codec.ts";
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
   * Applies the next entry; the things it changed are added to `changed`. Returns its payload, null for a no-op or a
   * membership change. Throws on a gap and on an event that this build does not know.
   */
  apply(entry: Entry, changed: Set<string>): EntryPayload | null {
    invariant(entry.index === this.applied.index + 1, `entry ${entry.index} follows the applied ${this.applied.index}`);
    this.trail.append(entry.index, entry.term, entry.kind, entry.data);
    this.applied = { index: entry.index, term: entry.term };
    if (entry.kind !== Kind.normal) return null;
    const payload = decodeCurrent(entry.data, this.registry);
    invariant(payload.at >= this.at, `time of entry ${entry.index} does not go back`);
    this.at = payload.at;
    const context = { index: entry.index, at: payload.at, actor: payload.actor };
    let checkpoint = false;
    for (const event of payload.events) {
      const { thing } = this.rows.evolve(nounOf(this.registry, event), event, context);
      this.history.add(thing, entry.index);
      changed.add(thing);
      checkpoint ||= this.isCheckpoint(event);
    }
    if (payload.request !== null) {
      const { client, id, fingerprint, version, answer } = payload.request;
      this.sessions.remember({ client, id, fingerprint, index: entry.index, version, answer: answer ?? undefined });
    }
    if (checkpoint) this.checkpoints = [...this.checkpoints, this.digest()].slice(-checkpointsMax);
    return payload;
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
