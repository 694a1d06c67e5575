/**
 * Refusals on the wire: `{reason, message, hint, index?}` as application/problem+json. One Schema a status, so that the document
 * says which reasons come with which status, and a refusal is encoded with the status of its reason.
 */
import * as Schema from "effect/Schema";
import * as HttpApiSchema from "effect/http-api/HttpApiSchema";
import { reasons, type Reason, type Rejection } from "../kernel/command.ts";

export const problemContentType = "application/problem+json";

/** What a client gets. `index` is the applied index of the member that answered, where it has one. */
export interface ProblemBody {
  readonly reason: Reason;
  readonly message: string;
  readonly hint: string;
  readonly index?: number;
}

/** How a handler fails. */
export const problemOf = ({ reason, message, hint }: Rejection, index?: number): ProblemBody =>
  index === undefined ? { reason, message, hint } : { reason, message, hint, index };

export type ProblemStatus = (typeof reasons)[Reason]["status"];

function problemOfStatus<const R extends readonly Reason[]>(status: ProblemStatus, of: R) {
  return Schema.Struct({
    reason: Schema.Literals(of),
    message: Schema.String,
    hint: Schema.String,
    index: Schema.optionalKey(Schema.Number),
  })
    .annotate({ httpApiStatus: status, identifier: `Problem${status}`, description: `Refused: ${of.join(", ")}` })
    .pipe(HttpApiSchema.asJson({ contentType: problemContentType }));
}

/** The one that a request which does not decode gets. */
export const Invalid = problemOfStatus(400, ["invalid"]);
const Unauthenticated = problemOfStatus(401, ["unauthenticated"]);
const Forbidden = problemOfStatus(403, ["forbidden"]);
const NotFound = problemOfStatus(404, ["not_found"]);
const Conflict = problemOfStatus(409, ["illegal_transition", "conflict", "quorum_at_risk", "feature_level"]);
const Compacted = problemOfStatus(410, ["compacted"]);
const Stale = problemOfStatus(412, ["stale"]);
const TooLarge = problemOfStatus(413, ["too_large"]);
const Reused = problemOfStatus(422, ["request_reused"]);
const TooMany = problemOfStatus(429, ["too_many"]);
const Unavailable = problemOfStatus(503, ["ambiguous", "no_leader", "not_ready", "overloaded"]);
const Deadline = problemOfStatus(504, ["deadline"]);

/** Every endpoint declares them all, so that no refusal can be without a status. */
export const Problems = [
  Invalid,
  Unauthenticated,
  Forbidden,
  NotFound,
  Conflict,
  Compacted,
  Stale,
  TooLarge,
  Reused,
  TooMany,
  Unavailable,
  Deadline,
] as const;
