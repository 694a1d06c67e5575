/**
 * TLS as all of Aether speaks it: version 1.3, both sides with a certificate of the cluster's CA, identity from the
 * certificate's URI (certificate-identity.ts).
 *
 * Sessions are never resumed. A resumed session would carry the identity of an earlier handshake past an expiry or a
 * revocation since; connections here live long, so the saved handshakes are not worth that.
 */
import { constants, X509Certificate } from "node:crypto";
import { checkServerIdentity, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import type { Role } from "@aether/core/kernel/event";
import type { ClientOptions } from "ws";
import { isRefusal, readIdentity, type IdentityRefusal, type IsRevoked, type PeerIdentity } from "./certificate-identity.ts";

/** PEM texts. */
export interface TlsMaterial {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface ServerTlsOptions {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly minVersion: "TLSv1.3";
  readonly requestCert: true;
  readonly rejectUnauthorized: true;
  readonly secureOptions: number;
  readonly handshakeTimeout: number;
}

/** Whom a client means to reach. Host names are not judged: a member may move, and its URI says who it is. */
export interface ExpectedServer {
  readonly clusterId: string;
  /** Default: member. */
  readonly role?: Role;
  /** Any member, when absent. */
  readonly name?: string;
  readonly isRevoked?: IsRevoked;
}

export interface ClientTlsOptions {
  readonly secureContext: SecureContext;
  readonly minVersion: "TLSv1.3";
  readonly rejectUnauthorized: true;
  readonly checkServerIdentity: typeof checkServerIdentity;
  /** Members are reached by address; a name would only have to be made up. */
  readonly servername: "";
}

const handshakeTimeoutMs = 5_000;
const nobodyRevoked: IsRevoked = () => false;

/** Options for `https.createServer`. Put {@link guardServer} (guard.ts) on the server as well: TLS alone knows no cluster ids. */
export function serverTls(m: TlsMaterial): ServerTlsOptions {
  return {
    ca: m.ca,
    cert: m.certificate,
    key: m.key,
    minVersion: "TLSv1.3",
    requestCert: true,
    rejectUnauthorized: true,
    secureOptions: constants.SSL_OP_NO_TICKET,
    handshakeTimeout: handshakeTimeoutMs,
  };
}

/**
 * Options for `tls.connect`, `https.request`, ws and undici's `connect`. The handshake fails with {@link ServerRefused}
 * unless the server is of this cluster and role. Make them once and use them for many connections: the PEM texts are
 * parsed here.
 */
export function clientTls(m: TlsMaterial, expected: ExpectedServer): ClientTlsOptions {
  const secureContext = createSecureContext({ ca: m.ca, cert: m.certificate, key: m.key, minVersion: "TLSv1.3" });
  return {
    secureContext,
    minVersion: "TLSv1.3",
    rejectUnauthorized: true,
    servername: "",
    checkServerIdentity: (_host, certificate) => {
      const refusal = judgeServer(new X509Certificate(certificate.raw), expected);
      return refusal === null ? undefined : new ServerRefused(refusal);
    },
  };
}

/** The same for `new WebSocket(url, …)`. ws hands its options on to tls.connect, but its types describe an older checkServerIdentity. */
export const websocketTls = (tls: ClientTlsOptions): ClientOptions => tls as unknown as ClientOptions;

/** The server's certificate is genuine and yet not the one that was meant. */
export class ServerRefused extends Error {
  override readonly name = "ServerRefused";
  readonly refusal: IdentityRefusal;
  constructor(refusal: IdentityRefusal) {
    super(`the server was refused: ${refusal.refused} (${refusal.detail})`);
    this.refusal = refusal;
  }
}

function judgeServer(certificate: X509Certificate, expected: ExpectedServer): IdentityRefusal | null {
  const who = readIdentity(certificate, expected.clusterId, expected.isRevoked ?? nobodyRevoked, Date.now());
  if (isRefusal(who)) return who;
  const role = expected.role ?? "member";
  if (who.role !== role) return { refused: "wrongRole", detail: `${who.role}:${who.name} serves, a ${role} was expected` };
  if (expected.name !== undefined && who.name !== expected.name) {
    return { refused: "wrongName", detail: `${who.role}:${who.name} serves, ${expected.name} was expected` };
  }
  return null;
}

/** Who is at the other end of a connected TLS socket, judged now. */
export function peerIdentity(socket: TLSSocket, clusterId: string, isRevoked = nobodyRevoked): PeerIdentity | IdentityRefusal {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return { refused: "noCertificate", detail: "the peer showed no certificate" };
  if (!socket.authorized) return { refused: "foreignCa", detail: String(socket.authorizationError) };
  return readIdentity(certificate, clusterId, isRevoked, Date.now());
}
