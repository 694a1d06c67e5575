/** What a new machine knows before its maker has come: who it is to become, and how it knows its maker. */
import { createHash, X509Certificate, type KeyObject } from "node:crypto";
import { isSuccess } from "effect/Result";
import { make as redact, value as reveal, type Redacted } from "effect/Redacted";
import * as Schema from "effect/Schema";
import { faultsOf } from "@aether/core/kernel/define";
import { between, ClusterId, ClusterName, hex, NodeName } from "@aether/core/kernel/fields";

export interface Birth {
  readonly cluster: { readonly id: string; readonly name: string };
  readonly node: string;
  readonly attempt: number;
  /** Where the node waits, and where its daemon listens afterwards. */
  readonly port: number;
  /** {@link keyFingerprint} of the cluster's CA. */
  readonly caFingerprint: string;
  readonly ticket: Redacted;
}

const Stored = Schema.Struct({
  version: Schema.Literals([1]),
  cluster: Schema.Struct({ id: ClusterId, name: ClusterName }),
  node: NodeName,
  attempt: between(1, Number.MAX_SAFE_INTEGER),
  port: between(1, 65_535),
  caFingerprint: hex(64, 64),
  ticket: Schema.String.check(Schema.isPattern(/^[A-Za-z0-9_-]{43}$/, { expected: "43 characters of base64url" })),
});
const decode = Schema.decodeUnknownResult(Stored, { errors: "all", onExcessProperty: "error" });

/** The text of `birth.json`, always the same for the same birth. It holds the ticket: mode 0600. */
export const birthText = (birth: Birth): string =>
  `${JSON.stringify({
    version: 1,
    cluster: { id: birth.cluster.id, name: birth.cluster.name },
    node: birth.node,
    attempt: birth.attempt,
    port: birth.port,
    caFingerprint: birth.caFingerprint,
    ticket: reveal(birth.ticket),
  })}\n`;

/** All faults at once; no value is repeated, since one of them is the ticket. */
export function parseBirth(text: string): { readonly ok: Birth } | { readonly errors: readonly string[] } {
  let input: unknown;
  try {
    input = JSON.parse(text);
  } catch {
    return { errors: ["the text is not JSON"] };
  }
  const result = decode(input);
  if (!isSuccess(result)) return { errors: faultsOf(result.failure.issue) };
  const { version: _, ticket, ...rest } = result.success;
  return { ok: { ...rest, ticket: redact(ticket) } };
}

/** SHA-256 of a public key (its SPKI in DER), 64 hex digits. */
export const keyFingerprint = (key: KeyObject): string =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex");

/** Of the key in a PEM certificate. Throws when it is none. */
export const certificateFingerprint = (pem: string): string => keyFingerprint(new X509Certificate(pem).publicKey);
