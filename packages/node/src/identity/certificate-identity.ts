/**
 * Who a certificate says its holder is. One SAN URI carries it: `aether://<clusterId>/<role>/<name>`. Everything else in
 * the certificate (common name, host names) is for people and for foreign programs; Aether believes the URI alone.
 */
import type { X509Certificate } from "node:crypto";
import { roles, type Role } from "@aether/core/kernel/event";

/** A believed identity. `fingerprint` is the certificate's SHA-256, 64 hex digits in lower case. */
export interface PeerIdentity {
  readonly clusterId: string;
  readonly role: Role;
  readonly name: string;
  readonly fingerprint: string;
}

/** Why a peer was not believed. `foreignCa` and `handshake` are TLS's own refusals, the others ours. */
export type RefusalReason =
  | "noCertificate"
  | "foreignCa"
  | "handshake"
  | "wrongCluster"
  | "unknownRole"
  | "wrongRole"
  | "wrongName"
  | "expired"
  | "revoked"
  | "malformed";

export interface IdentityRefusal {
  readonly refused: RefusalReason;
  readonly detail: string;
}

/** True for fingerprints that are not to be believed any more. Asked at every connection. */
export type IsRevoked = (fingerprint: string) => boolean;

const clusterIdPattern = /^[0-9a-f]{32}$/;
const namePattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$/;
const uriPattern = /^aether:\/\/([^/]+)\/([^/]+)\/([^/]+)$/;

export const isClusterId = (text: string): boolean => clusterIdPattern.test(text);
/** 1 to 64 letters, digits, `.`, `_` and `-`, beginning and ending with a letter or digit. */
export const isPrincipalName = (text: string): boolean => namePattern.test(text);
export const identityUri = (clusterId: string, role: Role, name: string): string => `aether://${clusterId}/${role}/${name}`;

/**
 * Reads the identity out of a certificate whose chain has already been verified. Dates are judged at `at` (Unix
 * milliseconds); null leaves them unjudged, for signatures that outlive their certificate.
 */
export function readIdentity(
  certificate: X509Certificate,
  clusterId: string | null,
  isRevoked: IsRevoked,
  at: number | null,
): PeerIdentity | IdentityRefusal {
  const uris = aetherUris(certificate.subjectAltName ?? "");
  if (uris === null) return refuse("malformed", "the certificate's alternative names hold a quoted value");
  const [uri] = uris;
  if (uri === undefined || uris.length > 1)
    return refuse("malformed", `${uris.length} aether:// URIs in the certificate, not one`);
  const parts = uriPattern.exec(uri);
  const [, cluster = "", role = "", name = ""] = parts ?? [];
  if (!isClusterId(cluster) || !isPrincipalName(name))
    return refuse("malformed", `not aether://<cluster>/<role>/<name>: ${clip(uri)}`);
  if (clusterId !== null && cluster !== clusterId) return refuse("wrongCluster", `of cluster ${cluster}, not ${clusterId}`);
  if (!isRole(role)) return refuse("unknownRole", `role ${clip(role)} is not known here`);
  if (at !== null && !(certificate.validFromDate.getTime() <= at && at < certificate.validToDate.getTime())) {
    return refuse("expired", `valid from ${certificate.validFrom} to ${certificate.validTo}`);
  }
  const fingerprint = certificate.fingerprint256.replaceAll(":", "").toLowerCase();
  if (isRevoked(fingerprint)) return refuse("revoked", `${role}:${name} ${fingerprint.slice(0, 16)}`);
  return { clusterId: cluster, role, name, fingerprint };
}

export const isRefusal = (x: PeerIdentity | IdentityRefusal): x is IdentityRefusal => "refused" in x;
const refuse = (refused: RefusalReason, detail: string): IdentityRefusal => ({ refused, detail });
const isRole = (text: string): text is Role => (roles as readonly string[]).includes(text);
const clip = (text: string): string => JSON.stringify(text.slice(0, 80));

/**
 * OpenSSL's list as node prints it: `URI:…, DNS:…, IP Address:…`. Node quotes a value that holds a separator, so a list
 * with a quote in it could be split wrongly; our CA never issues one, and such a certificate is not read at all.
 */
function aetherUris(subjectAltName: string): string[] | null {
  if (subjectAltName.includes('"')) return null;
  const uris: string[] = [];
  for (const part of subjectAltName.split(", ")) if (part.startsWith("URI:aether://")) uris.push(part.slice("URI:".length));
  return uris;
}
