/**
 * Events, entries and who caused them. An event is a fact about one thing; an entry is the batch of events that one
 * command caused, which commits as one record of the Raft log.
 */

/** Who acts. The name comes from a certificate, never from a request's body. */
export interface Identity {
  readonly name: string;
  readonly role: Role;
}
export const roles = ["member", "agent", "operator", "viewer"] as const;
export type Role = (typeof roles)[number];

/** A fact about thing `<noun>/<id>`. `type` is unique over all nouns and names its noun through the registry. Payload fields follow. */
export interface DomainEvent {
  readonly type: string;
  readonly v: number;
  readonly id: string;
  readonly [field: string]: unknown;
}

/** Names one request for exactly-once: the same (client, id) gets the first answer again. */
export interface RequestId {
  readonly client: string;
  readonly id: string;
}

/**
 * A request as its entry carries it, so that every member remembers the same answer for the same request.
 * `fingerprint` is a short digest of the command: an id that comes again with another command is refused.
 * `version` is the version of the command's thing after the entry, `answer` what decide gave back besides.
 */
export interface RecordedRequest extends RequestId {
  readonly fingerprint: string;
  readonly version: number;
  readonly answer?: unknown;
}

/**
 * The payload of one log entry (msgpackr, at most {@link entryBytesMax}).
 * `at` is the leader's clock in Unix milliseconds, never lower than in the entry before.
 * `cause` is the command's type, or what else made it so.
 */
export interface EntryPayload {
  readonly at: number;
  readonly actor: Identity;
  readonly cause: string;
  readonly request: RecordedRequest | null;
  readonly events: readonly DomainEvent[];
}

export const entryBytesMax = 1024 * 1024;

/** An entry as readers see it. No-ops and membership changes have `kind` other than "events" and no domain events. */
export interface RecordedEntry {
  readonly index: number;
  readonly term: number;
  readonly kind: "events" | "noop" | "config";
  readonly at: number;
  readonly actor: Identity;
  readonly cause: string;
  readonly events: readonly DomainEvent[];
}

/** What evolve may know of the entry it is in. */
export interface EventContext {
  readonly index: number;
  readonly at: number;
  readonly actor: Identity;
}
