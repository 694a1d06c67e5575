/**
 * The one HTTPS server of a node: API, command streams and peers share a port. Who is there is settled from the
 * certificate at the handshake, before a byte of HTTP is parsed; who may do what is the table in access.ts.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { problemContentType, problemOf } from "@aether/core/api/problem";
import { reject } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { guardServer, identityOf } from "../identity/guard.ts";
import { serverTls, type TlsMaterial } from "../identity/tls.ts";
import { judge, type Door } from "./access.ts";
import { sendProblem } from "./problem.ts";

export interface FrontDoorOptions {
  readonly host: string;
  readonly port: number;
  readonly tls: TlsMaterial;
  readonly clusterId: string;
  /** A connection or request that was turned away. */
  readonly onRefused: (what: string, identity: string, address: string) => void;
  readonly onRequest: (req: IncomingMessage, res: ServerResponse, call: Call) => void;
  readonly onUpgrade: (req: IncomingMessage, socket: Duplex, head: Buffer, call: Call) => void;
}

/** A request that came through its door. */
export interface Call {
  readonly caller: Identity;
  readonly url: URL;
  readonly door: Door;
  readonly address: string;
}

export interface FrontDoor {
  readonly port: number;
  /** Stops listening and ends every connection. */
  close(): Promise<void>;
}

/** Connections of all kinds at a time; more are closed by the listener. */
const connectionsMax = 4_096;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const idleTimeoutMs = 30_000;
const headerBytesMax = 16 * 1024;

/** Listens. Rejects when the address cannot be had. */
export async function openFrontDoor(o: FrontDoorOptions): Promise<FrontDoor> {
  const server = createServer({
    ...serverTls(o.tls),
    maxHeaderSize: headerBytesMax,
    headersTimeout: headersTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    connectionsCheckingInterval: 5_000,
  });
  server.maxConnections = connectionsMax;
  const sockets = new Set<TLSSocket>();
  guardServer(server, {
    clusterId: o.clusterId,
    isRevoked: () => false,
    onRefused: (r) => o.onRefused(`connect: ${r.why}`, "", plainAddress(r.address)),
  });
  server.on("secureConnection", (socket: TLSSocket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  server.on("request", (req, res) => admit(o, req, (call) => o.onRequest(req, res, call), refuserOf(res)));
  server.on("upgrade", (req, socket, head) => {
    socket.on("error", () => socket.destroy());
    admit(o, req, (call) => o.onUpgrade(req, socket, head, call), upgradeRefuserOf(socket));
  });
  await new Promise<void>((resolve, fail) => {
    server.once("error", fail);
    server.listen({ host: o.host, port: o.port }, () => {
      server.off("error", fail);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

type Refuser = (r: ReturnType<typeof reject>, headers?: Record<string, string>) => void;

function admit(o: FrontDoorOptions, req: IncomingMessage, enter: (call: Call) => void, refuse: Refuser): void {
  const { name, role } = identityOf(req.socket);
  const caller: Identity = { name, role };
  const url = parseUrl(req.url ?? "/");
  if (url === null) return refuse(reject("invalid", "the request's path is not a path", ""));
  const method = req.method ?? "GET";
  const address = plainAddress(req.socket.remoteAddress ?? "");
  const verdict = judge(caller.role, method, url.pathname);
  if (verdict.v === "open") return enter({ caller, url, door: verdict.door, address });
  if (verdict.v === "noSuchPath") return refuse(reject("not_found", `there is nothing at ${url.pathname}`, "see /openapi.json"));
  if (verdict.v === "noSuchMethod") {
    const allow = verdict.allowed.join(", ");
    return refuse(reject("invalid", `${method} is not possible on ${url.pathname}`, `it takes ${allow}`), { allow });
  }
  o.onRefused(`${method} ${verdict.door.path}`, `${caller.role}:${caller.name}`, address);
  const who = `a certificate of role ${caller.role}`;
  const hint = `it takes one of role ${verdict.door.roles.join(" or ")}`;
  refuse(reject("forbidden", `${who} may not ${method} ${url.pathname}`, hint));
}

function parseUrl(raw: string): URL | null {
  try {
    return new URL(raw, "https://node");
  } catch {
    return null;
  }
}

const refuserOf =
  (res: ServerResponse): Refuser =>
  (r, headers) =>
    sendProblem(res, r, undefined, { connection: "close", ...headers });

function upgradeRefuserOf(socket: Duplex): Refuser {
  return (r) => {
    const body = JSON.stringify(problemOf(r));
    const status = r.reason === "forbidden" ? "403 Forbidden" : r.reason === "not_found" ? "404 Not Found" : "400 Bad Request";
    const headers = ["connection: close", `content-type: ${problemContentType}`, `content-length: ${Buffer.byteLength(body)}`];
    socket.end([`HTTP/1.1 ${status}`, ...headers, "", body].join("\r\n"));
  };
}

/** IPv4 as people write it, also when it came in over an IPv6 listener. */
const plainAddress = (address: string): string => address.replace(/^::ffff:/, "");
