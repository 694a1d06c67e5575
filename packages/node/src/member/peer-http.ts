/**
 * Short JSON requests from one daemon to another, over mTLS with keep-alive. For what is asked once a second or once in a
 * life (notes, joining): bounded in time and size, and a failure is a value.
 */
import { Agent, request } from "node:https";
import type { ClientTlsOptions } from "../identity/tls.ts";

export type PeerReply =
  | { readonly ok: true; readonly status: number; readonly body: unknown }
  | { readonly ok: false; readonly why: string };

export interface PeerHttp {
  /**
   * `body` undefined sends none; `requestKey` makes a repeated command the same command. Resolves in about `timeoutMs` at the
   * latest; never rejects.
   */
  ask(
    method: "GET" | "POST",
    address: string,
    path: string,
    timeoutMs: number,
    body?: unknown,
    requestKey?: string,
  ): Promise<PeerReply>;
  close(): void;
}

const replyBytesMax = 1024 * 1024;
const connectionsMax = 4;

/** Asks as whoever `tls` is the certificate of; only members of the cluster it expects are believed. `dialAt` says where an address is dialled. */
export function makePeerHttp(tls: ClientTlsOptions, dialAt: (address: string) => string = (address) => address): PeerHttp {
  const agent = new Agent({ ...tls, keepAlive: true, maxSockets: connectionsMax, maxCachedSessions: 0 });
  return {
    ask: (method, address, path, timeoutMs, body, requestKey) =>
      new Promise((resolve) => {
        const { host, port } = splitAddress(dialAt(address));
        const payload = body === undefined ? null : Buffer.from(JSON.stringify(body));
        const headers = {
          ...(payload === null ? {} : { "content-type": "application/json", "content-length": payload.length }),
          ...(requestKey === undefined ? {} : { "idempotency-key": requestKey }),
        };
        const timer = setTimeout(() => req.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
        const settle = (reply: PeerReply): void => {
          clearTimeout(timer);
          resolve(reply);
        };
        const req = request({ agent, host, port, method, path, headers }, (res) => {
          const chunks: Buffer[] = [];
          let size = 0;
          res.on("data", (chunk: Buffer) => {
            size += chunk.length;
            if (size > replyBytesMax) req.destroy(new Error(`the answer is larger than ${replyBytesMax} bytes`));
            else chunks.push(chunk);
          });
          res.on("end", () => settle(parseReply(res.statusCode ?? 0, Buffer.concat(chunks))));
          res.on("error", (error) => settle({ ok: false, why: error.message }));
        });
        req.on("error", (error) => settle({ ok: false, why: error.message }));
        req.end(payload ?? undefined);
      }),
    close: () => agent.destroy(),
  };
}

function parseReply(status: number, bytes: Buffer): PeerReply {
  try {
    return { ok: true, status, body: bytes.length === 0 ? null : (JSON.parse(bytes.toString("utf8")) as unknown) };
  } catch {
    return { ok: false, why: `the answer (status ${status}) is not JSON` };
  }
}

/** "host:port", also "[v6]:port". */
export function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ""), port: Number(address.slice(at + 1)) };
}
