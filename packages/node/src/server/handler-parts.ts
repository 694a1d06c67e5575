/** What the handlers of all groups of the API have in common. */
import type { problemOf } from "@aether/core/api/problem";
import type { Rejection } from "@aether/core/kernel/command";
import type * as Effect from "effect/Effect";
import type { HttpServerRequest } from "effect/http/HttpServerRequest";
import type { BackupDeps } from "../backup/operations.ts";
import type { Call } from "./front-door.ts";
import type { Asked } from "./operations.ts";

/** What the door knows of a request that HttpApi does not: who asks. */
export type CallOf = (request: HttpServerRequest) => Call;

export interface WriteHeaders {
  readonly "idempotency-key"?: string;
  readonly "if-match"?: string;
}

/** Runs `work` on the member that takes part, or says that there is none. */
export type Running = <A extends object>(
  work: (o: BackupDeps) => Promise<A | Rejection>,
) => Effect.Effect<A, ReturnType<typeof problemOf>>;

export const askedOf = ({ caller }: Call, headers: WriteHeaders): Asked => ({
  caller,
  requestKey: headers["idempotency-key"] ?? null,
  ifMatch: headers["if-match"] ?? null,
});
