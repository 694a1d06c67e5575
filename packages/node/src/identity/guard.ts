/**
 * Stands before an HTTPS server: a connection whose identity is not believed is closed before a byte of HTTP is read
 * from it, and counted.
 */
import type { Server } from "node:https";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { isRefusal, type IsRevoked, type PeerIdentity, type RefusalReason } from "./certificate-identity.ts";
import { peerIdentity } from "./tls.ts";

export interface RefusedConnection {
  readonly why: RefusalReason;
  readonly detail: string;
  /** Remote IP address, "" when the peer was gone already. */
  readonly address: string;
}

export interface GuardOptions {
  readonly clusterId: string;
  readonly isRevoked: IsRevoked;
  /** Called once for each refused connection. Must not throw. */
  readonly onRefused: (refused: RefusedConnection) => void;
}

const identities = new WeakMap<object, PeerIdentity>();

/** The identity that the guard believed for this request's socket. Throws when the socket did not come through a guard. */
export function identityOf(socket: object): PeerIdentity {
  const who = identities.get(socket);
  if (who === undefined) throw new Error("this connection did not come through guardServer");
  return who;
}

/** Put this on a server before it listens and after its own listeners are in place. */
export function guardServer(server: Server, o: GuardOptions): void {
  const serve = server.listeners("secureConnection") as ((socket: TLSSocket) => void)[];
  server.removeAllListeners("secureConnection");
  server.on("secureConnection", (socket: TLSSocket) => {
    const who = peerIdentity(socket, o.clusterId, o.isRevoked);
    if (isRefusal(who)) {
      o.onRefused({ why: who.refused, detail: who.detail, address: socket.remoteAddress ?? "" });
      socket.destroy();
      return;
    }
    identities.set(socket, who);
    for (const listener of serve) listener.call(server, socket);
  });
  // When TLS itself refuses, node has closed the handle before it tells us, and with it the address; asking now makes the
  // raw socket remember it.
  server.on("connection", (raw: Socket) => void raw.remoteAddress);
  server.on("tlsClientError", (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const refused = judgeHandshake(error, socket);
    const raw = Reflect.get(socket, "_parent") as Socket | null | undefined;
    const address = socket.remoteAddress ?? raw?.remoteAddress ?? "";
    if (refused !== null) o.onRefused({ ...refused, address });
  });
}

/** Null for a peer that merely hung up (a port scan, a TCP health check): nothing was asked, so nothing is refused. */
function judgeHandshake(error: NodeJS.ErrnoException, socket: TLSSocket): Omit<RefusedConnection, "address"> | null {
  // Node sets authorizationError and then drops the socket, which reaches us as a bare connection reset.
  const unauthorized = socket.authorizationError as Error | string | null | undefined;
  if (unauthorized !== null && unauthorized !== undefined) return { why: "foreignCa", detail: String(unauthorized) };
  if (error.code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE") {
    return { why: "noCertificate", detail: "the peer showed no certificate" };
  }
  if (error.code === "ECONNRESET" || error.code === "EPIPE") return null;
  return { why: "handshake", detail: error.code ?? error.message.slice(0, 120) };
}
