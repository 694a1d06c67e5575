/**
 * One direction of acquaintance between two members: what `from` dials to reach `to`. A TCP proxy that can be told to
 * misbehave. It sees ciphertext only: TLS runs from member to member through it.
 *
 * What is done to bytes cannot be undone for a connection. One that has lost bytes stays silent in that direction until
 * one of its ends gives it up, as the ends of a connection over a dead line do.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Stream } from "../world/stream.ts";

/** `forth`: from the member that dialled; `back`: to it. */
export type Direction = "forth" | "back";
const directions: readonly Direction[] = ["forth", "back"];

export type LinkMode =
  | { readonly m: "open" }
  /** Existing connections are reset, new ones too. */
  | { readonly m: "drop" }
  /** Every piece waits this long, exponentially distributed beyond `leastMs`; the order is kept. */
  | { readonly m: "delay"; readonly leastMs: number; readonly jitterMs: number }
  /** Connections are taken, and bytes of these directions are swallowed. */
  | { readonly m: "blackhole"; readonly ways: readonly Direction[] }
  /** Bytes of these directions wait, and arrive after the end of it: late, old messages. */
  | { readonly m: "hold"; readonly ways: readonly Direction[] };

export interface LinkCounts {
  /** Connections taken. */
  connections: number;
  /** Connections reset or never passed on by `drop`, `cutAfter` and `halfClose`. */
  broken: number;
  bytes: number;
  swallowedBytes: number;
  delayedBytes: number;
}

/** Bytes that wait for one direction of a connection, at most, before its sender is held back. */
const waitingBytesMax = 4 * 1024 * 1024;

export class LinkProxy {
  readonly counts: LinkCounts = { connections: 0, broken: 0, bytes: 0, swallowedBytes: 0, delayedBytes: 0 };
  readonly #target: { readonly host: string; readonly port: number };
  readonly #stream: Stream;
  readonly #pairs = new Set<Pair>();
  readonly #server: Server;
  #mode: LinkMode = { m: "open" };

  private constructor(target: string, stream: Stream) {
    const at = target.lastIndexOf(":");
    this.#target = { host: target.slice(0, at), port: Number(target.slice(at + 1)) };
    this.#stream = stream;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#take(socket));
  }

  /** Listens on a free loopback port and leads to `target`, "host:port", which need not listen yet. */
  static async open(target: string, stream: Stream): Promise<LinkProxy> {
    const proxy = new LinkProxy(target, stream);
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject).listen({ host: "127.0.0.1", port: 0 }, resolve);
    });
    return proxy;
  }

  /** "host:port" to dial. */
  get address(): string {
    const at = this.#server.address();
    if (at === null || typeof at === "string") throw new Error("the proxy does not listen");
    return `127.0.0.1:${at.port}`;
  }

  /** Connections that run through it now. */
  get open(): number {
    return this.#pairs.size;
  }

  get mode(): LinkMode {
    return this.#mode;
  }

  set(mode: LinkMode): void {
    this.#mode = mode;
    if (mode.m === "drop") for (const pair of this.#pairs) this.#break(pair);
    for (const pair of this.#pairs) for (const lane of pair.lanes) lane.look(mode);
  }

  /** Each connection there is now ends after this many more bytes, counted in both directions: in the middle of a message. */
  cutAfter(bytes: number): void {
    for (const pair of this.#pairs) pair.left = bytes;
  }

  /** Each connection there is now gets its end in this direction, while the other one goes on. */
  halfClose(way: Direction): void {
    for (const pair of this.#pairs) {
      this.counts.broken += 1;
      pair.lanes.find((lane) => lane.way === way)?.finish();
    }
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) pair.reset();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(near: Socket): void {
    this.counts.connections += 1;
    if (this.#mode.m === "drop") {
      this.counts.broken += 1;
      reset(near.on("error", () => undefined));
      return;
    }
    const far = connect({ ...this.#target, allowHalfOpen: true, noDelay: true });
    const pair = new Pair(near, far, this.counts, {
      waitMs: () => this.#waitMs(),
      broken: () => this.#break(pair),
      gone: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
    for (const lane of pair.lanes) lane.look(this.#mode);
  }

  #waitMs(): number {
    return this.#mode.m === "delay" ? this.#mode.leastMs + this.#stream.around(this.#mode.jitterMs) : 0;
  }

  #break(pair: Pair): void {
    this.counts.broken += 1;
    pair.reset();
  }
}

/**
 * With a reset, as from a machine that knows nothing of the connection. One whose end is being sent is only closed: resetting
 * it then fails in libuv, and the handle would never go away.
 */
function reset(socket: Socket): void {
  if (socket.destroyed) return;
  if (socket.writableEnded && !socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}

interface PairParts {
  readonly waitMs: () => number;
  readonly broken: () => void;
  readonly gone: () => void;
}

/** A connection and its continuation. */
class Pair {
  readonly lanes: readonly Lane[];
  /** Bytes until it is cut; null for never. */
  left: number | null = null;
  readonly #near: Socket;
  readonly #far: Socket;

  constructor(near: Socket, far: Socket, counts: LinkCounts, parts: PairParts) {
    this.#near = near;
    this.#far = far;
    const spend = (bytes: number): number => {
      if (this.left === null) return bytes;
      const may = Math.min(this.left, bytes);
      this.left -= may;
      // What was allowed is still to be written, so the rest happens after that.
      if (this.left === 0) setImmediate(parts.broken);
      return may;
    };
    this.lanes = directions.map((way) => {
      const [source, sink] = way === "forth" ? [near, far] : [far, near];
      return new Lane(way, source, sink, counts, spend, parts.waitMs);
    });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.on("error", () => reset(other));
      // Both have said their last word, and one of them was swallowed: nobody would ever close this.
      socket.on("end", () => {
        if (near.readableEnded && far.readableEnded && this.lanes.some(({ swallows }) => swallows)) this.reset();
      });
      socket.on("close", () => {
        if (near.destroyed && far.destroyed) parts.gone();
      });
    }
  }

  reset(): void {
    for (const lane of this.lanes) lane.stop();
    for (const socket of [this.#near, this.#far]) reset(socket);
  }
}

interface Piece {
  readonly bytes: Buffer;
  readonly due: number;
}

/** One direction of a connection. */
class Lane {
  readonly way: Direction;
  /** Bytes were lost here: nothing that comes later would make sense. */
  swallows = false;
  readonly #source: Socket;
  readonly #sink: Socket;
  readonly #counts: LinkCounts;
  /** How many of these bytes may still pass. */
  readonly #spend: (bytes: number) => number;
  readonly #waitMs: () => number;
  #queue: Piece[] = [];
  #waiting = 0;
  #timer: NodeJS.Timeout | null = null;
  #held = false;
  #ended = false;
  #stopped = false;

  constructor(
    way: Direction,
    source: Socket,
    sink: Socket,
    counts: LinkCounts,
    spend: (bytes: number) => number,
    waitMs: () => number,
  ) {
    this.way = way;
    this.#source = source;
    this.#sink = sink;
    this.#counts = counts;
    this.#spend = spend;
    this.#waitMs = waitMs;
    source.on("data", (bytes: Buffer) => this.#take(bytes));
    source.on("end", () => {
      this.#ended = true;
      this.#flow();
    });
    sink.on("drain", () => this.#throttle());
  }

  look(mode: LinkMode): void {
    if (mode.m === "blackhole" && mode.ways.includes(this.way)) this.swallows = true;
    this.#held = mode.m === "hold" && mode.ways.includes(this.way);
    this.#flow();
  }

  /** The sink hears an end, as if the source had said its last word. */
  finish(): void {
    this.swallows = true;
    this.#sink.end();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#queue = [];
  }

  #take(bytes: Buffer): void {
    if (this.#stopped) return;
    if (this.swallows) {
      this.#counts.swallowedBytes += bytes.length;
      return;
    }
    const waitMs = this.#waitMs();
    if (waitMs > 0 || this.#held) this.#counts.delayedBytes += bytes.length;
    this.#queue.push({ bytes, due: performance.now() + waitMs });
    this.#waiting += bytes.length;
    this.#flow();
  }

  /** Passes on what is due, in order. */
  #flow(): void {
    if (this.#timer !== null || this.#stopped) return;
    for (let first = this.#queue[0]; first !== undefined && !this.#held; first = this.#queue[0]) {
      const early = first.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = null;
          this.#flow();
        }, early);
        break;
      }
      this.#queue.shift();
      this.#waiting -= first.bytes.length;
      if (!this.#sink.writable) return;
      const may = this.#spend(first.bytes.length);
      this.#counts.bytes += may;
      if (may > 0) this.#sink.write(first.bytes.subarray(0, may));
    }
    // An end that a blackhole has swallowed is not heard on the other side either.
    if (this.#ended && this.#queue.length === 0 && !this.swallows && !this.#held) this.#sink.end();
    this.#throttle();
  }

  #throttle(): void {
    if (this.#stopped) return;
    if (this.#waiting > waitingBytesMax || this.#sink.writableNeedDrain) this.#source.pause();
    else if (this.#source.isPaused()) this.#source.resume();
  }
}
