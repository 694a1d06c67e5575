/** The connections that peers have dialled to us: greeted, judged, listened to. At most one per member and channel. */
import type { NodeId } from "@aether/raft/types";
import type { WebSocket } from "ws";
import type { PeerIdentity } from "../identity/certificate-identity.ts";
import type { EncodedFrame } from "./frames.ts";
import {
  closeCodes,
  encodeHello,
  judgeHello,
  parseHello,
  type Channel,
  type CloseReason,
  type Hello,
  type HelloJudge,
} from "./handshake.ts";
import type { TransportLimits } from "./limits.ts";

/** A peer's connection. `from` is 0 until it has greeted. */
export interface InboundSocket {
  readonly channel: Channel;
  readonly from: NodeId;
  /** False when the connection is gone or too much waits on it already. */
  send(data: EncodedFrame | string): boolean;
  close(why: CloseReason): void;
}

export interface InboundOptions {
  readonly judge: HelloJudge;
  readonly hello: Omit<Hello, "to">;
  readonly limits: TransportLimits;
  readonly now: () => number;
  readonly sockets: Set<WebSocket>;
  /** The frame that tells a removed member so. */
  readonly removedFrame: (to: NodeId) => EncodedFrame;
  readonly onMessage: (socket: InboundSocket, data: Buffer, isBinary: boolean) => void;
  readonly onClosed: (socket: InboundSocket) => void;
  readonly onHeard: (from: NodeId) => void;
  readonly onRefused: (channel: Channel, name: string, why: CloseReason, from: NodeId) => void;
}

interface Entry extends InboundSocket {
  readonly ws: WebSocket;
  readonly name: string;
  readonly since: number;
  from: NodeId;
  incarnation: number;
  heardAt: number;
}

const replyBytesMax = 1024 * 1024;
const binary = { binary: true, compress: false, fin: true } as const;

export class Inbound {
  readonly #o: InboundOptions;
  readonly #all = new Set<Entry>();
  readonly #greeted = new Map<string, Entry>();

  constructor(o: InboundOptions) {
    this.#o = o;
  }

  accept(channel: Channel, ws: WebSocket, identity: PeerIdentity): void {
    const { limits, sockets } = this.#o;
    const now = this.#o.now();
    const entry: Entry = {
      channel,
      ws,
      name: identity.name,
      since: now,
      heardAt: now,
      from: 0,
      incarnation: 0,
      send: (data) => {
        if (ws.readyState !== ws.OPEN || ws.bufferedAmount > replyBytesMax) return false;
        if (typeof data === "string") ws.send(data);
        else ws.send(data.bytes, binary);
        return true;
      },
      close: (why) => ws.close(closeCodes[why], why),
    };
    sockets.add(ws);
    ws.on("error", () => ws.terminate());
    ws.on("close", () => {
      sockets.delete(ws);
      this.#all.delete(entry);
      if (this.#greeted.get(keyOf(entry)) === entry) this.#greeted.delete(keyOf(entry));
      if (entry.from !== 0) this.#o.onClosed(entry);
    });
    if (identity.role !== "member" || identity.clusterId !== this.#o.judge.cluster) return this.#refuse(entry, "impostor", 0);
    if (this.#all.size >= limits.inboundSockets) return this.#refuse(entry, "tooMany", 0);
    this.#all.add(entry);
    ws.on("ping", () => this.#heard(entry));
    ws.on("message", (data, isBinary) => {
      this.#heard(entry);
      if (ws.readyState !== ws.OPEN) return;
      if (entry.from === 0) this.#greet(entry, data as Buffer, isBinary);
      else this.#o.onMessage(entry, data as Buffer, isBinary);
    });
  }

  /** A connection over which `to` can be answered though we have none to it: a member that our membership does not know yet. */
  reach(to: NodeId, channel: Channel): InboundSocket | null {
    return this.#greeted.get(`${channel} ${to}`) ?? null;
  }

  /** Ends what has been silent too long, or never greeted. */
  sweep(now: number): void {
    const { silentMs, greetingMs } = this.#o.limits;
    for (const e of this.#all) {
      if (now - e.heardAt > silentMs || (e.from === 0 && now - e.since > greetingMs)) e.ws.terminate();
    }
  }

  outlive(id: NodeId, current: number): void {
    for (const e of this.#all) if (e.from === id && e.incarnation !== current) e.close("olderIncarnation");
  }

  #heard(entry: Entry): void {
    entry.heardAt = this.#o.now();
    if (entry.from !== 0) this.#o.onHeard(entry.from);
  }

  #greet(entry: Entry, data: Buffer, isBinary: boolean): void {
    const hello = isBinary ? null : parseHello(data);
    if (hello === null) return this.#refuse(entry, "badHello", 0);
    const fault = judgeHello(this.#o.judge, hello, entry.name, null);
    if (fault === "removed") entry.send(this.#o.removedFrame(hello.from));
    if (fault !== null) return this.#refuse(entry, fault, hello.from);
    entry.from = hello.from;
    entry.incarnation = hello.incarnation;
    const key = keyOf(entry);
    const older = this.#greeted.get(key);
    this.#greeted.set(key, entry);
    older?.close("replaced");
    entry.send(encodeHello({ ...this.#o.hello, to: hello.from }));
    this.#o.onHeard(hello.from);
  }

  #refuse(entry: Entry, why: CloseReason, from: NodeId): void {
    this.#o.onRefused(entry.channel, entry.name, why, from);
    entry.close(why);
  }
}

const keyOf = (e: InboundSocket): string => `${e.channel} ${e.from}`;
