/** Turns an upgrade request that came through its door into a command stream. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import type { Call } from "./front-door.ts";
import { openStreamSession, streamMessageBytesMax, type StreamDeps } from "./stream-session.ts";

export interface Upgrades {
  /** Completes the handshake for a command stream and serves it as the caller. */
  stream(req: IncomingMessage, socket: Duplex, head: Buffer, call: Call, deps: StreamDeps): void;
  /** Ends every command stream. */
  close(): void;
}

/** Command streams that one node serves at a time. */
const streamsMax = 1_024;
const pingMs = 10_000;
/** Says "try again later" (RFC 6455, 1013). */
const tryAgainLater = 1013;

export function makeUpgrades(): Upgrades {
  const streams = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    skipUTF8Validation: true,
    clientTracking: false,
    maxPayload: streamMessageBytesMax,
  });
  const open = new Set<WebSocket>();
  return {
    stream: (req, socket, head, call, deps) =>
      streams.handleUpgrade(req, socket, head, (ws) => {
        if (open.size >= streamsMax) return ws.close(tryAgainLater, `${streamsMax} command streams are open`);
        open.add(ws);
        ws.on("close", () => open.delete(ws));
        serveStream(ws, call, deps);
      }),
    close: () => {
      for (const ws of open) ws.terminate();
    },
  };
}

function serveStream(ws: WebSocket, call: Call, deps: StreamDeps): void {
  const session = openStreamSession(ws, call.caller, deps);
  let heard = true;
  const timer = setInterval(() => {
    if (!heard) return ws.terminate();
    heard = false;
    ws.ping();
  }, pingMs);
  const alive = (): void => {
    heard = true;
  };
  ws.on("pong", alive);
  ws.on("message", (data: Buffer) => {
    alive();
    session.onMessage(data);
  });
  ws.on("error", () => ws.terminate());
  ws.on("close", () => clearInterval(timer));
}
