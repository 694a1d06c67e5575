/**
 * The ticket of a machine that is to become a node. It is derived, not drawn: whoever holds the cluster secret says the same one again,
 * so a second run and a new leader ask for the same machine, and the ticket lies nowhere but in that machine's user data.
 */
import { hkdfSync } from "node:crypto";
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";

/** The one machine that a ticket is for. `clusterId`: 32 hex digits; `attempt`: from 1. */
export interface TicketFor {
  readonly clusterId: string;
  readonly node: string;
  readonly attempt: number;
}

const salt = "aether/ticket/v1";

/** HKDF-SHA256 (RFC 5869) of the cluster secret: 32 bytes as 43 characters of base64url. Throws a RangeError on an empty secret. */
export function deriveTicket(clusterSecret: Redacted, { clusterId, node, attempt }: TicketFor): Redacted {
  const secret = reveal(clusterSecret);
  if (secret.length === 0) throw new RangeError("a ticket needs a cluster secret");
  const info = JSON.stringify([clusterId, node, attempt]);
  return redact(Buffer.from(hkdfSync("sha256", secret, salt, info, 32)).toString("base64url"));
}
