/**
 * How a machine and its maker know each other, both holding the ticket: an HMAC over all that the two have to agree on. The key of the TLS
 * certificate is part of it, so nobody who stands between, and has another key, can pass a proof on.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { value as reveal } from "effect/Redacted";
import type { Birth } from "./birth-file.ts";

/** What both sides saw of one encounter. Nonces: 43 characters of base64url; `tlsKey`: the fingerprint of the node's key. */
export interface Encounter {
  readonly makerNonce: string;
  readonly nodeNonce: string;
  readonly tlsKey: string;
}

export const freshNonce = (): string => randomBytes(32).toString("base64url");
export const isNonce = (value: unknown): value is string => typeof value === "string" && /^[A-Za-z0-9_-]{43}$/.test(value);

/** By which the machine shows that it is the one with this ticket. */
export const nodeProof = (birth: Birth, encounter: Encounter): string => prove(birth, encounter, ["node"]);

/** By which the maker shows that it is the maker, and that this is what it sends. */
export const makerProof = (birth: Birth, encounter: Encounter, body: Uint8Array): string =>
  prove(birth, encounter, ["maker", createHash("sha256").update(body).digest("hex")]);

function prove(birth: Birth, { makerNonce, nodeNonce, tlsKey }: Encounter, role: readonly string[]): string {
  const { cluster, node, attempt } = birth;
  const words = ["aether/enrolment/v1", ...role, cluster.id, node, String(attempt), makerNonce, nodeNonce, tlsKey];
  return createHmac("sha256", Buffer.from(reveal(birth.ticket), "base64url"))
    .update(JSON.stringify(words))
    .digest("base64url");
}

/** Compares in a time that tells nothing. */
export function isSameProof(expected: string, given: unknown): boolean {
  if (typeof given !== "string") return false;
  const [a, b] = [Buffer.from(expected), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
