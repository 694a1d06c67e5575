/**
 * One websocket to /v1/stream: packs frames into few messages, unpacks answers, keeps itself alive. What was asked over it
 * and whether it may be asked again is the client's business (stream-client.ts).
 */
import { performance } from "node:perf_hooks";
import { Packr } from "msgpackr";
import { WebSocket } from "ws";
import { websocketTls, type ClientTlsOptions } from "../identity/tls.ts";

/** What the server says first: who it is, and who leads as far as it knows. */
export interface ServerHello {
  readonly node: string;
  readonly leader: { readonly node: string; readonly address: string } | null;
  readonly limits: { readonly inFlight: number; readonly messageBytes: number };
}

/** A request on the wire: `[seq, command, request id]` or `[seq, {type: "get", noun, id}]`. */
export type RequestFrame = readonly unknown[];

export interface ConnectionHooks {
  opened(hello: ServerHello): void;
  /** Frames of one message, each an array. */
  answered(frames: readonly (readonly unknown[])[]): void;
  /** A frame by itself larger than a message may be; it was not sent. */
  tooLarge(frame: RequestFrame, bytes: number): void;
  /** Told once, also when the connection was never open. `status` is the HTTP status of a refused upgrade. */
  closed(why: string, status: number | null): void;
}

const dialTimeoutMs = 2_000;
const pingMs = 1_000;
const silentMs = 3_000;
const answerBytesMax = 64 * 1024 * 1024;
/** Frames packed together at most: a message is a unit of work for the server, and should stay a small one. */
const framesPerMessage = 256;
const codec = new Packr({ useRecords: false, int64AsType: "number" });
const binary = { binary: true, compress: false, fin: true } as const;
/** ws skips a mask of zeros; inside mutual TLS there is no proxy that masking would protect. */
const noMask = (mask: Buffer): void => void mask.fill(0);

export class StreamConnection {
  readonly #ws: WebSocket;
  readonly #hooks: ConnectionHooks;
  readonly #timer: NodeJS.Timeout;
  #messageBytes = 0;
  #out: RequestFrame[] = [];
  #heardAt = performance.now();
  #sweptAt = performance.now();
  #why = "the connection was closed";
  #status: number | null = null;

  constructor(endpoint: string, tls: ClientTlsOptions, hooks: ConnectionHooks) {
    this.#hooks = hooks;
    this.#ws = new WebSocket(`wss://${endpoint}/v1/stream`, {
      ...websocketTls(tls),
      perMessageDeflate: false,
      skipUTF8Validation: true,
      handshakeTimeout: dialTimeoutMs,
      maxPayload: answerBytesMax,
      generateMask: noMask,
    });
    this.#timer = setInterval(() => this.#sweep(), pingMs);
    this.#ws.on("message", (data) => this.#received(data as Buffer));
    this.#ws.on("pong", () => this.#heard());
    this.#ws.on("unexpected-response", (_request, response) => {
      this.#status = response.statusCode ?? null;
      this.close(`the server answered ${this.#status}`);
    });
    this.#ws.on("error", (error) => {
      if (this.#status === null) this.#why = error.message;
    });
    this.#ws.on("close", () => {
      clearInterval(this.#timer);
      hooks.closed(this.#why, this.#status);
    });
  }

  /** Goes out with everything else of this turn. Only after the server has greeted. */
  send(frame: RequestFrame): void {
    if (this.#out.length === 0) queueMicrotask(() => this.#flush());
    this.#out.push(frame);
  }

  close(why: string): void {
    this.#why = why;
    this.#ws.terminate();
  }

  #flush(): void {
    const all = this.#out;
    this.#out = [];
    if (this.#ws.readyState !== WebSocket.OPEN) return;
    for (let at = 0; at < all.length; at += framesPerMessage)
      this.#sendRun(all.length <= framesPerMessage ? all : all.slice(at, at + framesPerMessage));
  }

  #sendRun(frames: readonly RequestFrame[]): void {
    const bytes = codec.pack(frames);
    if (bytes.length <= this.#messageBytes) return this.#ws.send(bytes, binary);
    if (frames.length === 1) return this.#hooks.tooLarge(frames[0]!, bytes.length);
    const half = frames.length >> 1;
    this.#sendRun(frames.slice(0, half));
    this.#sendRun(frames.slice(half));
  }

  #received(data: Buffer): void {
    this.#heard();
    let frames: unknown;
    try {
      frames = codec.unpack(data);
    } catch {
      frames = null;
    }
    if (!Array.isArray(frames) || !frames.every(Array.isArray)) return this.close("the server sent something that is no frame");
    const answers = frames as readonly (readonly unknown[])[];
    if (this.#messageBytes > 0) return this.#hooks.answered(answers);
    const hello = parseHello(answers[0]);
    if (hello === null) return this.close("the server did not greet");
    this.#messageBytes = hello.limits.messageBytes;
    this.#hooks.opened(hello);
    if (answers.length > 1) this.#hooks.answered(answers.slice(1));
  }

  #heard(): void {
    this.#heardAt = performance.now();
  }

  /** A process that was itself stopped for a while judges the server's silence a second later. */
  #sweep(): void {
    const now = performance.now();
    const awake = now - this.#sweptAt < 2 * pingMs;
    this.#sweptAt = now;
    if (awake && now - this.#heardAt > silentMs) this.close(`the server was silent for ${silentMs} ms`);
    else if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping();
  }
}

function parseHello(frame: readonly unknown[] | undefined): ServerHello | null {
  if (frame?.[0] !== "hello") return null;
  const { node, leader, limits } = (frame[1] ?? {}) as Partial<ServerHello>;
  if (typeof node !== "string" || typeof limits?.inFlight !== "number" || !(limits.messageBytes > 0)) return null;
  const known = typeof leader?.node === "string" && typeof leader.address === "string";
  return { node, leader: known ? leader : null, limits };
}
