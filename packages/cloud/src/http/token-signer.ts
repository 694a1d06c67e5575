/** Puts an access token on requests (RFC 6750) that is fetched when it is needed and replaced before it ends, or when it is refused. */
import { value as reveal, type Redacted } from "effect/Redacted";
import { CloudFailure } from "../failure.ts";
import type { Expiring } from "./expiring.ts";
import type { Signer } from "./signer.ts";

/**
 * `also` is confidential besides the tokens: what they are fetched with. A refused token is dropped, once for each call; that a
 * token could not be had means that the call itself was surely not made.
 */
export const tokenSigner = (tokens: Expiring<Redacted>, also: () => readonly Redacted[]): Signer => ({
  get confidential() {
    return [...tokens.recent(), ...also()];
  },
  sign: async (request, signal) => {
    const token = await tokens.get(signal).catch(asNothingSent);
    return { ...request, headers: { ...request.headers, authorization: header(token) } };
  },
  learn: (refusal, _now, signed) => {
    if (refusal.status !== 401) return false;
    const refused = tokens.recent().find((token) => header(token) === signed.headers["authorization"]);
    if (refused !== undefined) tokens.drop(refused);
    return true;
  },
});

const header = (token: Redacted): string => `Bearer ${reveal(token)}`;

function asNothingSent(failure: unknown): never {
  if (failure instanceof CloudFailure && failure.error._tag === "Transient") {
    throw new CloudFailure({ ...failure.error, maybeApplied: false });
  }
  throw failure;
}
