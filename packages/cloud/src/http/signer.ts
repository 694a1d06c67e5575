import { value as reveal, type Redacted } from "effect/Redacted";
import type { HttpRequest, HttpResponse } from "./transport.ts";

/** Puts credentials on a request. Runs anew for each try, for signatures and tokens grow old. */
export interface Signer {
  /** What must never be seen in an error or a log: the credentials in use. Read anew for each text. */
  readonly confidential: readonly Redacted[];
  readonly sign: (request: HttpRequest, signal: AbortSignal) => Promise<HttpRequest>;
  /**
   * Learns from a refusal of what it signed (a wrong clock, a token that has ended). True when the same call is worth one
   * more try, which then is made at once. `signed` is the request as it was sent.
   */
  readonly learn?: (refusal: HttpResponse, now: number, signed: HttpRequest) => boolean;
}

/** A token that stays the same (RFC 6750). */
export const bearer = (token: Redacted): Signer => ({
  confidential: [token],
  sign: (request) => Promise.resolve({ ...request, headers: { ...request.headers, authorization: `Bearer ${reveal(token)}` } }),
});
