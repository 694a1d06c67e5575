import type { DomainEvent, Identity, Role } from "./event.ts";
import type { World } from "./world.ts";

/** A request to change thing `<noun>/<id>`. `ifVersion` makes it conditional; a mismatch is the rejection `stale`. */
export interface Command {
  readonly type: string;
  readonly id: string;
  readonly ifVersion?: number | undefined;
  readonly [field: string]: unknown;
}

/** A typed refusal. `reason` is one of {@link reasons}; message says what was tried, hint what to do. */
export interface Rejection {
  readonly rejected: true;
  readonly reason: Reason;
  readonly message: string;
  readonly hint: string;
}

/**
 * Every reason a request may be refused for, with its HTTP status and the CLI's exit code
 * (0 done, 1 failed, 2 usage, 3 not found, 4 rejected, 5 not ready in time).
 */
export const reasons = {
  invalid: { status: 400, exit: 2 },
  unauthenticated: { status: 401, exit: 1 },
  forbidden: { status: 403, exit: 4 },
  not_found: { status: 404, exit: 3 },
  illegal_transition: { status: 409, exit: 4 },
  conflict: { status: 409, exit: 4 },
  quorum_at_risk: { status: 409, exit: 4 },
  compacted: { status: 410, exit: 3 },
  stale: { status: 412, exit: 4 },
  too_large: { status: 413, exit: 2 },
  request_reused: { status: 422, exit: 2 },
  feature_level: { status: 409, exit: 4 },
  too_many: { status: 429, exit: 5 },
  ambiguous: { status: 503, exit: 1 },
  no_leader: { status: 503, exit: 5 },
  not_ready: { status: 503, exit: 5 },
  overloaded: { status: 503, exit: 5 },
  deadline: { status: 504, exit: 5 },
} as const;
export type Reason = keyof typeof reasons;

export const reject = (reason: Reason, message: string, hint = ""): Rejection => ({ rejected: true, reason, message, hint });

/** What a rule may know besides the world: who asks, the leader's time (Unix ms), and bits that the proposer drew. */
export interface DecideContext {
  readonly actor: Identity;
  readonly at: number;
  /** 32 hex digits drawn for this command; the only source of new ids. */
  readonly bits: string;
}

/** Events to append (may be empty: already so, nothing to do) or a refusal. `answer` is given back to the caller and remembered. */
export type Decision = Rejection | { readonly events: readonly DomainEvent[]; readonly answer?: unknown };

export const isRejection = (d: Decision): d is Rejection => "rejected" in d;

/** Reads the thing a command is about; ifVersion has been checked before decide runs. */
export type Decide<C extends Command> = (world: World, command: C, context: DecideContext) => Decision;

export interface CommandType<C extends Command = Command> {
  readonly type: string;
  /** Roles that may issue it. Everyone else is refused as forbidden: default deny. */
  readonly roles: readonly Role[];
  /** Parses unknown input, once, at the edge. Returns the typed command or the rejection `invalid`. */
  readonly parse: (input: unknown) => C | Rejection;
  readonly decide: Decide<C>;
}
