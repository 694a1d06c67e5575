/**
 * One outgoing connection to one peer for one channel: dials, greets, keeps alive, and dials again for as long as it is
 * wanted. It queues nothing itself; what is sent while it is not open is the caller's to keep or drop.
 */
import type { Peer } from "@aether/raft/types";
import type { TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import { isRefusal, type IsRevoked } from "../identity/certificate-identity.ts";
import { peerIdentity, websocketTls, type ClientTlsOptions } from "../identity/tls.ts";
import type { DialSlots } from "./dial-slots.ts";
import { frameBytesMax, type EncodedFrame } from "./frames.ts";
import {
  closeCodes,
  closeReason,
  encodeHello,
  judgeHello,
  parseHello,
  type Channel,
  type Hello,
  type HelloJudge,
} from "./handshake.ts";
import type { TransportLimits } from "./limits.ts";

/** What all connections of one transport share. */
export interface LinkContext {
  readonly judge: HelloJudge;
  readonly hello: Omit<Hello, "to">;
  readonly tls: ClientTlsOptions;
  readonly isRevoked: IsRevoked;
  readonly limits: TransportLimits;
  readonly slots: DialSlots;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Every socket that lives, so that close() can wait for the last of them. */
  readonly sockets: Set<WebSocket>;
}

export interface LinkHooks {
  opened(): void;
  /** A dial failed (`wasOpen` false) or the connection was lost. */
  closed(wasOpen: boolean, why: string): void;
  /** Nothing listens at the peer's address. */
  nobody(): void;
  message(data: Buffer, isBinary: boolean): void;
  /** What the peer says instead of a greeting: a member that we were removed from. */
  parting(data: Buffer): void;
  /** Something that was sent has left for the kernel. */
  drained(): void;
  heard(): void;
}

interface Connection {
  readonly ws: WebSocket;
  readonly since: number;
  socket: TLSSocket | null;
  open: boolean;
  incarnation: number;
  queued: number;
  heardAt: number;
  pingAt: number;
  why: string;
  refused: boolean;
}

const binary = { binary: true, compress: false, fin: true } as const;
/** A mask of zeros, which ws then skips: masking protects old web proxies, and there is none inside mutual TLS. */
const noMask = (mask: Buffer): void => void mask.fill(0);

export class Link {
  readonly #context: LinkContext;
  readonly #channel: Channel;
  readonly #peer: Peer;
  readonly #hooks: LinkHooks;
  #connection: Connection | null = null;
  #timer: NodeJS.Timeout | null = null;
  #cancelWait: () => void = () => undefined;
  #stopped = false;
  #rtt: number | null = null;

  constructor(context: LinkContext, channel: Channel, peer: Peer, hooks: LinkHooks) {
    this.#context = context;
    this.#channel = channel;
    this.#peer = peer;
    this.#hooks = hooks;
    this.#dialWhenFree();
  }

  get open(): boolean {
    return this.#connection?.open ?? false;
  }

  /** True while an attempt is under way, so that what is sent now may go out soon. */
  get dialling(): boolean {
    return this.#connection !== null && !this.#connection.open;
  }

  /** Messages handed to {@link send} on this connection that have not left for the kernel. */
  get queuedMessages(): number {
    return this.#connection?.queued ?? 0;
  }

  get queuedBytes(): number {
    return this.#connection?.ws.bufferedAmount ?? 0;
  }

  /** Smoothed, milliseconds; null before the first ping was answered. */
  get rttMs(): number | null {
    return this.#rtt;
  }

  /** Only while {@link open}. */
  send(frames: readonly EncodedFrame[]): void {
    const c = this.#connection;
    if (c === null || !c.open) throw new Error("a link was written to that is not open");
    const many = frames.length > 1;
    if (many) c.socket?.cork();
    for (const { bytes, messages } of frames) {
      c.queued += messages;
      c.ws.send(bytes, binary, () => {
        c.queued -= messages;
        if (this.#connection === c) this.#hooks.drained();
      });
    }
    if (many) c.socket?.uncork();
  }

  /** Small control texts of the snapshot protocol. False when the link is not open. */
  sendText(text: string): boolean {
    const c = this.#connection;
    if (c === null || !c.open) return false;
    c.ws.send(text);
    return true;
  }

  /** Pings, and ends what has been silent for too long. `judging` false: we ourselves were asleep, so silence proves nothing. */
  sweep(now: number, judging: boolean): void {
    const c = this.#connection;
    if (c === null) return;
    const { limits } = this.#context;
    if (judging && !c.open && c.socket !== null && now - c.since > limits.dialTimeoutMs + limits.greetingMs) {
      return this.#drop("no greeting");
    }
    if (!c.open) return;
    if (judging && now - c.heardAt > limits.silentMs) return this.#drop("silent");
    c.pingAt = now;
    c.ws.ping();
  }

  /** Ends a connection to another life of the peer than the one that is believed now. */
  outlive(current: number): void {
    if (this.#connection?.open === true && this.#connection.incarnation !== current) this.#drop("another incarnation");
  }

  /** Ends the connection and dials again at once; for protocol faults found by the owner. */
  reset(why: string): void {
    this.#drop(why);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelWait();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#connection?.ws.terminate();
  }

  #drop(why: string): void {
    const c = this.#connection;
    if (c === null) return;
    c.why = why;
    c.ws.terminate();
  }

  #dialWhenFree(): void {
    this.#timer = null;
    this.#cancelWait = this.#context.slots.acquire(() => this.#dial());
  }

  #dial(): void {
    const { tls, limits, sockets, slots } = this.#context;
    const url = `wss://${this.#peer.address}/v1/peer/${this.#channel}`;
    if (!URL.canParse(url)) {
      // The address is a row's, and rows are written by others: a bad one costs this link, not the process.
      slots.release();
      this.#timer = setTimeout(() => this.#dialWhenFree(), limits.refusedRedialMs);
      return this.#hooks.closed(false, `no address: ${this.#peer.address.slice(0, 80)}`);
    }
    const ws = new WebSocket(url, {
      ...websocketTls(tls),
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: limits.dialTimeoutMs,
      maxPayload: frameBytesMax,
      generateMask: noMask,
    });
    const now = this.#context.now();
    const c: Connection = {
      ws,
      since: now,
      socket: null,
      open: false,
      incarnation: 0,
      queued: 0,
      heardAt: now,
      pingAt: 0,
      why: "closed",
      refused: false,
    };
    this.#connection = c;
    sockets.add(ws);
    let slotHeld = true;
    const freeSlot = (): void => {
      if (slotHeld) slots.release();
      slotHeld = false;
    };
    ws.on("upgrade", (response) => {
      c.socket = response.socket as TLSSocket;
    });
    ws.on("open", () => {
      freeSlot();
      ws.send(encodeHello({ ...this.#context.hello, to: this.#peer.id }));
    });
    ws.on("message", (data, isBinary) => this.#received(c, data as Buffer, isBinary));
    ws.on("pong", () => this.#answered(c));
    ws.on("error", (error: NodeJS.ErrnoException) => {
      c.why = error.message;
      if (error.code === "ECONNREFUSED" && !this.#stopped) this.#hooks.nobody();
    });
    ws.on("close", (code) => {
      freeSlot();
      sockets.delete(ws);
      this.#lost(c, code);
    });
  }

  #received(c: Connection, data: Buffer, isBinary: boolean): void {
    if (this.#stopped) return;
    c.heardAt = this.#context.now();
    if (c.open) {
      this.#hooks.heard();
      return this.#hooks.message(data, isBinary);
    }
    const who = c.socket === null ? null : peerIdentity(c.socket, this.#context.judge.cluster, this.#context.isRevoked);
    const believed = who !== null && !isRefusal(who) ? who.name : null;
    if (isBinary) {
      const { standing } = this.#context.judge;
      if (believed !== null && standing(this.#peer.id, believed) === "welcome") this.#hooks.parting(data);
      return;
    }
    const refuse = (why: keyof typeof closeCodes): void => {
      c.why = why;
      c.refused = true;
      c.ws.close(closeCodes[why], why);
    };
    const hello = parseHello(data);
    if (hello === null) return refuse("badHello");
    if (believed === null) return refuse("impostor");
    const fault = judgeHello(this.#context.judge, hello, believed, this.#peer.id);
    if (fault !== null) return refuse(fault);
    c.open = true;
    c.incarnation = hello.incarnation;
    this.#hooks.heard();
    this.#hooks.opened();
  }

  #answered(c: Connection): void {
    const now = this.#context.now();
    c.heardAt = now;
    if (!c.open || this.#stopped) return;
    const took = now - c.pingAt;
    this.#rtt = this.#rtt === null ? took : this.#rtt * 0.8 + took * 0.2;
    this.#hooks.heard();
  }

  #lost(c: Connection, code: number): void {
    if (this.#connection !== c) return;
    this.#connection = null;
    if (this.#stopped) return;
    const told = closeReason(code);
    const { redialMinMs, redialMaxMs, refusedRedialMs } = this.#context.limits;
    // One that worked is looked after soon: whether the process or only the connection is gone makes a difference to elections.
    const latest = c.open ? 2 * redialMinMs : redialMaxMs;
    const jitter = redialMinMs + this.#context.random() * (latest - redialMinMs);
    const refused = c.refused || (told !== null && told !== "replaced");
    this.#timer = setTimeout(() => this.#dialWhenFree(), refused ? refusedRedialMs + jitter : jitter);
    this.#hooks.closed(c.open, told === null ? c.why : `refused: ${told}`);
  }
}
