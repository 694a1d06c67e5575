/**
 * A follower's own stream connection to the leader, over which it hands on what its clients ask. One connection at a
 * time; when it breaks, everything unanswered on it is `ambiguous` and whoever holds a request id asks again.
 */
import { reject, type Reason, type Rejection } from "@aether/core/kernel/command";
import type { NodeId } from "@aether/raft/types";
import type { Answer } from "@aether/store/types";
import { Packr } from "msgpackr";
import { WebSocket } from "ws";
import type { LeaderLink } from "./gateway.ts";
import { websocketTls, type ClientTlsOptions } from "../identity/tls.ts";
import { streamInFlightMax, streamMessageBytesMax } from "./stream-session.ts";

export interface LeaderLinkOptions {
  readonly tls: ClientTlsOptions;
  readonly addressOf: (member: NodeId) => string | undefined;
}

const dialTimeoutMs = 2_000;
const pingMs = 1_000;
const silentMs = 3_000;
const codec = new Packr({ useRecords: false, int64AsType: "number" });

interface Line {
  readonly leader: NodeId;
  readonly address: string;
  readonly ws: WebSocket;
  readonly waiting: Map<number, { readonly command: string; readonly done: (a: Answer) => void }>;
  /** Frames for the next message; before the socket is open, frames not sent yet. */
  out: unknown[];
  open: boolean;
}

/** A link that dials when first used. `close()` settles what is unanswered. */
export function makeLeaderLink(o: LeaderLinkOptions): LeaderLink & { close(): void } {
  let line: Line | null = null;
  let seq = 0;
  let closed = false;

  const drop = (dead: Line): void => {
    if (line === dead) line = null;
    const { waiting } = dead;
    const settle = [...waiting.values()];
    waiting.clear();
    for (const { command, done } of settle)
      done(failed(dead.open ? lost(command, dead.address) : unreachable(dead.address), dead.leader));
  };
  const flush = (l: Line): void => {
    if (!l.open || l.out.length === 0) return;
    const bytes = Uint8Array.from(codec.pack(l.out));
    l.out = [];
    l.ws.send(bytes);
  };
  const dial = (leader: NodeId, address: string): Line => {
    const options = { perMessageDeflate: false, skipUTF8Validation: true, handshakeTimeout: dialTimeoutMs };
    const ws = new WebSocket(`wss://${address}/v1/stream`, {
      ...websocketTls(o.tls),
      ...options,
      maxPayload: 4 * streamMessageBytesMax,
    });
    const l: Line = { leader, address, ws, waiting: new Map(), out: [], open: false };
    ws.on("open", () => {
      l.open = true;
      flush(l);
    });
    ws.on("message", (data: Buffer) => receive(l, data));
    ws.on("error", () => ws.terminate());
    ws.on("close", () => drop(l));
    watchOver(ws);
    return l;
  };
  const lineTo = (leader: NodeId, address: string): Line => {
    if (line !== null && (line.leader !== leader || line.address !== address)) {
      const old = line;
      line = null;
      old.ws.terminate();
    }
    line ??= dial(leader, address);
    return line;
  };
  return {
    submit: (leader, s, done) => {
      const address = o.addressOf(leader);
      if (closed || address === undefined) return done(failed(unreachable(address ?? `member ${leader}`), leader));
      const l = lineTo(leader, address);
      if (l.waiting.size >= streamInFlightMax) return done(failed(busy(), leader));
      seq = (seq + 1) % Number.MAX_SAFE_INTEGER;
      l.waiting.set(seq, { command: s.command.type, done });
      if (l.out.length === 0) queueMicrotask(() => flush(l));
      l.out.push([seq, s.command, s.request, s.actor]);
    },
    close: () => {
      closed = true;
      line?.ws.terminate();
    },
  };
}

/** Ends a socket that says nothing, not even to a ping. */
function watchOver(ws: WebSocket): void {
  let heard = performance.now();
  const alive = (): void => {
    heard = performance.now();
  };
  const timer = setInterval(() => {
    if (performance.now() - heard > silentMs) ws.terminate();
    else if (ws.readyState === WebSocket.OPEN) ws.ping();
  }, pingMs);
  ws.on("message", alive).on("pong", alive);
  ws.on("close", () => clearInterval(timer));
}

function receive(l: Line, data: Buffer): void {
  let frames: unknown;
  try {
    frames = codec.unpack(data);
  } catch {
    frames = null;
  }
  if (!Array.isArray(frames)) return l.ws.terminate();
  for (const frame of frames as unknown[]) {
    if (!Array.isArray(frame) || typeof frame[0] !== "number") continue;
    const seq = frame[0];
    const entry = l.waiting.get(seq);
    if (entry === undefined) continue;
    l.waiting.delete(seq);
    entry.done(answerOf(frame, l.leader));
  }
}

/** `[seq, 1, index, version, changed, replayed, answer?]` or `[seq, 0, reason, message, hint]`, from a member: trusted. */
function answerOf(frame: readonly unknown[], leader: NodeId): Answer {
  const [, kind, a, b, c, d, e] = frame;
  if (kind !== 1) return failed(reject(a as Reason, String(b), String(c)), leader);
  const settled = { ok: true, index: a as number, version: b as number, changed: c as boolean, replayed: d as boolean } as const;
  return e === undefined ? settled : { ...settled, answer: e };
}

const failed = (rejection: Rejection, leader: NodeId): Answer => ({ ok: false, rejection, leader });
const unreachable = (who: string): Rejection =>
  reject("no_leader", `the leader at ${who} cannot be reached from this node`, "try again, or ask another node");
const busy = (): Rejection =>
  reject("overloaded", `${streamInFlightMax} commands to the leader are unanswered`, "try again in a moment");
const lost = (command: string, who: string): Rejection =>
  reject(
    "ambiguous",
    `the connection to the leader at ${who} broke before it answered ${command}`,
    "repeat it with the same request id",
  );
