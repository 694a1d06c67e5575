/**
 * A machine waits for its maker. Anybody may knock: what counts is a proof made with the ticket, over nonces of both sides and the key of this
 * very TLS connection. All that a maker gives is on the disk before it is told so; until then nothing has happened, and it may come again.
 */
import { constants, X509Certificate } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../daemon/log.ts";
import { makeOwnKey, type OwnKey } from "../identity/self-signed.ts";
import { writeDurably } from "../member/durable-file.ts";
import { keyFingerprint, type Birth } from "./birth-file.ts";
import { filesOf, giftBytesMax } from "./gift.ts";
import { freshNonce, isNonce, isSameProof, makerProof, nodeProof, type Encounter } from "./proof.ts";

export const doors = { hello: "/enrolment/hello", gift: "/enrolment/gift" } as const;
/** The header with the maker's proof. */
export const proofHeader = "aether-proof";

export interface WaitingRoomOptions {
  readonly birth: Birth;
  /** Where the node's files come to lie; made if it is missing. */
  readonly folder: string;
  /** The address to listen on; the port is the birth's. */
  readonly host: string;
  readonly log: Log;
  /** Given up after this time, milliseconds. */
  readonly waitMs: number;
  /** Ends the wait. */
  readonly signal?: AbortSignal;
  /** How long a wrong proof waits for its answer. Default: 1 s. */
  readonly refusalMs?: number;
  /** Writes a file that is whole or absent, mode 0600. Default: the disk. */
  readonly write?: (path: string, text: string) => Promise<void>;
}

/** born: a maker has made this a node; tooLong: nobody has in time; stopped: by the signal. */
export type WaitEnded = "born" | "tooLong" | "stopped";

const connectionsMax = 64;
const connectionsOfOneAddressMax = 8;
const helloBytesMax = 1_024;
const connectionMs = 30_000;
const refusalDefaultMs = 1_000;
/** Refusals that get a line of their own; then each thousandth. */
const refusalLinesMax = 50;
/** How long the maker may take to read the answer before its connection is cut. */
const farewellMs = 2_000;

/** Rejects when the port cannot be had. */
export async function awaitMaker(o: WaitingRoomOptions): Promise<WaitEnded> {
  const own = await makeOwnKey(`aether ${o.birth.node} waits`);
  const room = new WaitingRoom(o, own);
  return room.open();
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

class WaitingRoom {
  readonly #o: WaitingRoomOptions;
  readonly #own: OwnKey;
  readonly #tlsKey: string;
  readonly #server: Server;
  /** One hello for each connection, and one gift for each hello. */
  readonly #met = new WeakMap<object, Encounter>();
  readonly #greeted = new WeakSet<object>();
  readonly #sockets = new Set<Socket>();
  #giving = false;
  #refusals = 0;
  #finish: (how: WaitEnded) => void = () => undefined;

  constructor(o: WaitingRoomOptions, own: OwnKey) {
    this.#o = o;
    this.#own = own;
    this.#tlsKey = keyFingerprint(new X509Certificate(own.certificate).publicKey);
    this.#server = createServer({
      key: own.key,
      cert: own.certificate,
      minVersion: "TLSv1.3",
      secureOptions: constants.SSL_OP_NO_TICKET,
      handshakeTimeout: 5_000,
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 15_000,
      keepAliveTimeout: 15_000,
      connectionsCheckingInterval: 1_000,
    });
    this.#server.maxConnections = connectionsMax;
    this.#server.on("connection", (socket: Socket) => this.#count(socket));
    this.#server.on("tlsClientError", (_error, socket) => socket.destroy());
    this.#server.on("clientError", (_error, socket) => socket.destroy());
    this.#server.on("request", (req, res) => this.#serve(req, res));
  }

  async open(): Promise<WaitEnded> {
    const { birth, host, log, waitMs, signal } = this.#o;
    const ended = new Promise<WaitEnded>((resolve) => (this.#finish = resolve));
    await new Promise<void>((resolve, fail) => {
      this.#server.once("error", fail);
      this.#server.listen({ host, port: birth.port }, () => {
        this.#server.off("error", fail);
        resolve();
      });
    });
    log.info("waiting-for-maker", { cluster: birth.cluster.name, attempt: birth.attempt, host, port: birth.port });
    const late = setTimeout(() => this.#finish("tooLong"), waitMs);
    const stop = (): void => this.#finish("stopped");
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted === true) stop();
    const how = await ended;
    clearTimeout(late);
    signal?.removeEventListener("abort", stop);
    await this.#close(how === "born" ? farewellMs : 0);
    return how;
  }

  /** The listener is closed at once; whoever is still there gets `graceMs` to read. */
  async #close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.race([closed, sleep(graceMs, undefined, { ref: false })]);
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #count(socket: Socket): void {
    const from = socket.remoteAddress ?? "";
    let same = 0;
    for (const other of this.#sockets) if (other.remoteAddress === from) same += 1;
    if (same >= connectionsOfOneAddressMax) return void socket.destroy();
    this.#sockets.add(socket);
    const late = setTimeout(() => socket.destroy(), connectionMs);
    socket.once("close", () => {
      clearTimeout(late);
      this.#sockets.delete(socket);
    });
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    this.#answer(req)
      .then(({ status, body }) => {
        const isLast = req.url !== doors.hello || status !== 200;
        res.writeHead(status, { "content-type": "application/json", ...(isLast ? { connection: "close" } : {}) });
        res.end(JSON.stringify(body));
        if (status !== 201) return;
        // The answer is on its way, or the maker has left; whoever does not get it finds a daemon.
        if (res.closed) this.#finish("born");
        else res.once("close", () => this.#finish("born"));
      })
      // Only a peer that left in the middle of its own request comes here.
      .catch(() => req.socket.destroy());
  }

  async #answer(req: IncomingMessage): Promise<Answer> {
    if (req.method !== "POST") return refusal(405, "only POST");
    if (req.url === doors.hello) return this.#hello(req);
    if (req.url === doors.gift) return this.#gift(req);
    return refusal(404, "a machine that waits for its maker");
  }

  async #hello(req: IncomingMessage): Promise<Answer> {
    const body = await readBody(req, helloBytesMax);
    const makerNonce = body === null ? undefined : nonceIn(body);
    if (makerNonce === undefined) return refusal(400, "no nonce");
    if (this.#greeted.has(req.socket)) return refusal(409, "one hello for a connection");
    this.#greeted.add(req.socket);
    const encounter: Encounter = { makerNonce, nodeNonce: freshNonce(), tlsKey: this.#tlsKey };
    this.#met.set(req.socket, encounter);
    const proof = nodeProof(this.#o.birth, encounter);
    return { status: 200, body: { nonce: encounter.nodeNonce, publicKey: this.#own.publicKey, proof } };
  }

  async #gift(req: IncomingMessage): Promise<Answer> {
    const encounter = this.#met.get(req.socket);
    this.#met.delete(req.socket);
    const body = await readBody(req, giftBytesMax);
    if (body === null) return refusal(413, `a gift has at most ${giftBytesMax} bytes`);
    const { birth } = this.#o;
    if (encounter === undefined || !isSameProof(makerProof(birth, encounter, body), req.headers[proofHeader])) {
      return this.#refuse(req, 403, "the proof is not that of this machine's maker");
    }
    if (this.#giving) return refusal(409, "another maker is giving");
    this.#giving = true;
    const taken = await this.#take(body).catch((error: Error) => error);
    if (taken === null) {
      this.#o.log.info("born", { cluster: birth.cluster.name, attempt: birth.attempt, maker: req.socket.remoteAddress });
      return { status: 201, body: { born: true } };
    }
    this.#giving = false;
    if (typeof taken === "string") return this.#refuse(req, 422, taken);
    const next = "nothing has happened yet; the maker may come again";
    this.#o.log.error("not-written", { message: taken.message, next });
    return refusal(503, `the machine cannot write: ${taken.message}`);
  }

  /** Null when all of it is on the disk; otherwise what is wrong with it. Rejects when the disk does. */
  async #take(body: Buffer): Promise<string | null> {
    const { birth, folder, write = writeDurably } = this.#o;
    const judged = filesOf(body, birth, this.#own.key, folder);
    if ("fault" in judged) return judged.fault;
    for (const file of judged.files) await write(join(folder, file.name), file.text);
    return null;
  }

  async #refuse(req: IncomingMessage, status: number, why: string): Promise<Answer> {
    this.#refusals += 1;
    const { log, refusalMs = refusalDefaultMs } = this.#o;
    const count = this.#refusals;
    if (count <= refusalLinesMax || count % 1_000 === 0) log.warn("refused", { why, from: req.socket.remoteAddress, count });
    await sleep(refusalMs);
    return refusal(status, why);
  }
}

const refusal = (status: number, why: string): Answer => ({ status, body: { why } });

function nonceIn(body: Buffer): string | undefined {
  try {
    const { nonce } = JSON.parse(body.toString("utf8")) as { readonly nonce?: unknown };
    return isNonce(nonce) ? nonce : undefined;
  } catch {
    return undefined;
  }
}

/** Null when it is longer than `bytesMax`; what is more is not kept. */
async function readBody(req: IncomingMessage, bytesMax: number): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req) {
    bytes += (chunk as Buffer).length;
    if (bytes > bytesMax) return null;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
