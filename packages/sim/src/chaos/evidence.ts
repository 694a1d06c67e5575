/** What a chaos run leaves behind for the judge. Times are milliseconds of this process's monotonic clock. */
import type { DomainEvent } from "@aether/core/kernel/event";
import type { Operation } from "../checks/linearizability.ts";

export interface RecordedOperation extends Operation {
  readonly client: string;
  /** "client/id" as the log names it; null for a read. */
  readonly request: string | null;
  /** Of a write that was acknowledged: the index it was told. */
  readonly index: number | null;
  /** Why it was refused, when that says that it had no effect. */
  readonly refused: string | null;
}

export interface LogEntry {
  readonly index: number;
  readonly term: number;
  /** "client/id"; null when nobody asked, or without a request id. */
  readonly request: string | null;
  readonly events: readonly DomainEvent[];
}

/** One line of a watcher's feed. */
export interface SeenEntry {
  readonly index: number;
  readonly term: number;
  readonly events: readonly unknown[];
  readonly at: number;
}

export interface Watched {
  readonly name: string;
  readonly seen: readonly SeenEntry[];
  /** What a feed ended with other than a broken connection. */
  readonly refusals: readonly string[];
}

/** A member at the end. */
export interface MemberEnd {
  readonly node: string;
  readonly index: number;
  readonly digest: string;
  readonly chain: string;
  /** What is wrong with its audit range; null when every digest and signature was right. */
  readonly disproved: string | null;
}

export interface Evidence {
  readonly operations: readonly RecordedOperation[];
  /** The whole log, from its first entry to the index that all members stand at. */
  readonly log: readonly LogEntry[];
  /** When all of the log had been applied. */
  readonly readAt: number;
  readonly watched: readonly Watched[];
  readonly members: readonly MemberEnd[];
  /** Processes that ended by themselves, disasters that went otherwise than documented, answers that must not be. */
  readonly incidents: readonly string[];
}
