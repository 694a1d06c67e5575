/**
 * Many commands and reads in flight over one connection to the cluster, for programs that issue many. It finds a member
 * that answers, prefers the leader, and asks again, with the same request id, what a broken connection left unanswered:
 * a command with a request id therefore takes effect once, or its caller is told that nobody knows.
 */
import { performance } from "node:perf_hooks";
import { reasons, reject, type Command, type Reason, type Rejection } from "@aether/core/kernel/command";
import type { Stored } from "@aether/core/kernel/world";
import type { ClientTlsOptions } from "../identity/tls.ts";
import { isEndpoint } from "./endpoint.ts";
import { StreamConnection, type RequestFrame, type ServerHello } from "./stream-connection.ts";

export type StreamAnswer =
  | {
      readonly ok: true;
      readonly index: number;
      readonly version: number;
      readonly changed: boolean;
      /** The answer remembered for this request id from before. */
      readonly replayed: boolean;
      readonly answer?: unknown;
    }
  | { readonly ok: false; readonly rejection: Rejection };

export type StreamRead =
  | { readonly ok: true; readonly stored: Stored | null; readonly index: number }
  | { readonly ok: false; readonly rejection: Rejection };

export interface StreamClientOptions {
  /** "host:port" of members, asked in turn. At least one; openStreamClient throws a RangeError on what is none. */
  readonly endpoints: readonly string[];
  readonly tls: ClientTlsOptions;
  /** For each request, all tries together. Default 10 s. */
  readonly deadlineMs?: number;
  /** Requests unanswered at a time; more are refused as `too_many`. Default and most: what the server allows, 4,096. */
  readonly inFlightMax?: number;
  /** Go over to the leader when the member that was reached names another. Default true. */
  readonly followLeader?: boolean;
}

export interface StreamClient {
  /**
   * `request` names the command for exactly-once (1 to 128 characters); null: it is sent once, and `ambiguous` if the
   * connection breaks. `done` is called exactly once, never from inside submit().
   */
  submit(command: Command, request: string | null, done: (a: StreamAnswer) => void): void;
  /** A linearizable read of one thing. */
  get(noun: string, id: string, done: (r: StreamRead) => void): void;
  readonly inFlight: number;
  /** The member at the other end; null while there is none. */
  readonly server: ServerHello | null;
  /** Connections made since start, the first included. */
  readonly connects: number;
  /** Settles what is unanswered as `ambiguous` or `not_ready` and ends. */
  close(): void;
}

interface Pending {
  readonly frame: RequestFrame;
  /** May be sent again although its fate is unknown: a read, or a command with a request id. */
  readonly repeatable: boolean;
  readonly settle: (frame: readonly unknown[] | Rejection) => void;
  readonly deadline: number;
  readonly what: string;
  /** Sent on a connection that broke before it answered, or answered `ambiguous`. */
  unknown: boolean;
  sent: boolean;
}

const inFlightDefault = 4096;
const sweepMs = 100;
const retryMinMs = 20;
const retryMaxMs = 250;
const redialMinMs = 50;
const redialMaxMs = 500;
const stayMs = 10_000;
/** Rounds of refusals in a row after which another member is tried: this one may be cut off from the leader. */
const fruitlessRoundsMax = 4;
/** Refusals that say that nothing was appended, so that the same may be asked again. */
const harmless: ReadonlySet<Reason> = new Set(["no_leader", "not_ready", "overloaded", "too_many"]);

export function openStreamClient(o: StreamClientOptions): StreamClient {
  const wrong = o.endpoints.find((endpoint) => !isEndpoint(endpoint));
  if (o.endpoints.length === 0 || wrong !== undefined) throw new RangeError(`not "host:port": ${wrong ?? "no endpoint at all"}`);
  return new Client(o);
}

class Client implements StreamClient {
  connects = 0;
  readonly #o: StreamClientOptions;
  readonly #deadlineMs: number;
  readonly #inFlightMax: number;
  /** In the order they were asked, which is also the order of their deadlines. */
  readonly #pending = new Map<number, Pending>();
  readonly #sweeper: NodeJS.Timeout;
  #seq = 0;
  #connection: StreamConnection | null = null;
  #server: ServerHello | null = null;
  #turn = 0;
  /** A leader to go to next, instead of the next endpoint. */
  #detour: string | null = null;
  /** Until then the leader is not gone to: its address does not work from here. */
  #stayUntil = 0;
  #retries: number[] = [];
  #retryMs = retryMinMs;
  #fruitless = 0;
  #timer: NodeJS.Timeout | null = null;
  #lastFailure = "no connection yet";
  #forbidden: Rejection | null = null;
  #closed = false;

  constructor(o: StreamClientOptions) {
    this.#o = o;
    this.#deadlineMs = o.deadlineMs ?? 10_000;
    this.#inFlightMax = o.inFlightMax ?? inFlightDefault;
    this.#sweeper = setInterval(() => this.#expire(), sweepMs);
    this.#dial();
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  get server(): ServerHello | null {
    return this.#server;
  }

  submit(command: Command, request: string | null, done: (a: StreamAnswer) => void): void {
    const settle = (answer: readonly unknown[] | Rejection): void =>
      done(isRejection(answer) ? refused(answer) : answerOf(answer));
    this.#ask(command, request, `${command.type} ${command.id}`, request !== null, settle);
  }

  get(noun: string, id: string, done: (r: StreamRead) => void): void {
    const settle = (answer: readonly unknown[] | Rejection): void => done(isRejection(answer) ? refused(answer) : readOf(answer));
    this.#ask({ type: "get", noun, id }, null, `the read of ${noun}/${id}`, true, settle);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#sweeper);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#connection?.close("the client was closed");
    for (const [seq, p] of this.#pending)
      this.#settle(
        seq,
        p,
        fateOf(p, () => closedByUs(p.what)),
      );
  }

  #ask(body: unknown, request: string | null, what: string, repeatable: boolean, settle: Pending["settle"]): void {
    const early = this.#closed
      ? closedByUs(what)
      : (this.#forbidden ?? (this.#pending.size >= this.#inFlightMax ? tooMany(this.#inFlightMax) : null));
    if (early !== null) return queueMicrotask(() => settle(early));
    this.#seq += 1;
    const seq = this.#seq;
    const p: Pending = {
      frame: request === null ? [seq, body] : [seq, body, request],
      repeatable,
      settle,
      deadline: performance.now() + this.#deadlineMs,
      what,
      unknown: false,
      sent: false,
    };
    this.#pending.set(seq, p);
    if (this.#server !== null) this.#send(p);
  }

  #send(p: Pending): void {
    p.sent = true;
    this.#connection?.send(p.frame);
  }

  #settle(seq: number, p: Pending, answer: readonly unknown[] | Rejection): void {
    if (this.#pending.delete(seq)) p.settle(answer);
  }

  #dial(): void {
    this.#timer = null;
    const { endpoints, tls } = this.#o;
    const endpoint = this.#detour ?? endpoints[this.#turn % endpoints.length]!;
    const detour = this.#detour !== null;
    this.#detour = null;
    if (!detour) this.#turn += 1;
    let opened = false;
    const connection = new StreamConnection(endpoint, tls, {
      opened: (hello) => {
        opened = true;
        this.#opened(hello, detour);
      },
      answered: (frames) => this.#answered(frames),
      tooLarge: (frame, bytes) => this.#tooLarge(frame[0] as number, bytes),
      closed: (why, status) => {
        if (detour && !opened) this.#stayUntil = performance.now() + stayMs;
        if (this.#connection === connection) this.#lost(`${endpoint}: ${why}`, status);
      },
    });
    this.#connection = connection;
  }

  #opened(hello: ServerHello, detour: boolean): void {
    const { leader } = hello;
    const mayFollow = !detour && (this.#o.followLeader ?? true) && performance.now() > this.#stayUntil;
    if (mayFollow && leader !== null && leader.node !== hello.node && isEndpoint(leader.address)) {
      this.#detour = leader.address;
      return this.#move("the leader is elsewhere");
    }
    this.connects += 1;
    this.#server = hello;
    this.#fruitless = 0;
    for (const p of this.#pending.values()) this.#send(p);
  }

  #answered(frames: readonly (readonly unknown[])[]): void {
    for (const frame of frames) {
      const seq = frame[0] as number;
      const p = this.#pending.get(seq);
      if (p === undefined) continue;
      if (frame[1] === 0) this.#refused(seq, p, rejectionOf(frame));
      else {
        this.#retryMs = retryMinMs;
        this.#fruitless = 0;
        this.#settle(seq, p, frame);
      }
    }
  }

  /** Gives the refusal to the caller, unless asking again is safe and there is time. */
  #refused(seq: number, p: Pending, rejection: Rejection): void {
    if (rejection.reason === "ambiguous" && p.repeatable) p.unknown = true;
    else if (!harmless.has(rejection.reason)) return this.#settle(seq, p, rejection);
    p.sent = false;
    this.#lastFailure = rejection.message;
    this.#retries.push(seq);
    if (this.#retries.length > 1 || this.#timer !== null) return;
    this.#timer = setTimeout(() => this.#retry(), this.#retryMs * (0.5 + Math.random()));
    this.#retryMs = Math.min(retryMaxMs, this.#retryMs * 2);
  }

  #retry(): void {
    this.#timer = null;
    const again = this.#retries;
    this.#retries = [];
    this.#fruitless += 1;
    if (this.#fruitless > fruitlessRoundsMax && this.#o.endpoints.length > 1) {
      this.#fruitless = 0;
      return this.#move(`no progress at this member: ${this.#lastFailure}`);
    }
    for (const seq of again) {
      const p = this.#pending.get(seq);
      if (p !== undefined) this.#send(p);
    }
  }

  /** Leaves this member for another at once; what is unanswered here is asked there. */
  #move(why: string): void {
    const old = this.#connection;
    this.#connection = null;
    old?.close(why);
    this.#forget(why);
    this.#dial();
  }

  #lost(why: string, status: number | null): void {
    this.#connection = null;
    this.#forget(why);
    if (this.#closed) return;
    if (status === 401 || status === 403) {
      const forbidden = reject(
        "forbidden",
        `${why}: this certificate may not open a stream`,
        "it takes an operator's, viewer's or member's",
      );
      this.#forbidden = forbidden;
      for (const [seq, p] of this.#pending)
        this.#settle(
          seq,
          p,
          fateOf(p, () => forbidden),
        );
      return;
    }
    // The first round over all endpoints is quick; after it, patience.
    const wait = this.#turn < this.#o.endpoints.length ? 0 : redialMinMs + Math.random() * (redialMaxMs - redialMinMs);
    this.#timer = setTimeout(() => this.#dial(), wait);
  }

  /** The connection is gone: commands that may have been done and cannot be repeated are `ambiguous`, all else waits. */
  #forget(why: string): void {
    this.#lastFailure = why;
    this.#server = null;
    this.#retries = [];
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    for (const [seq, p] of this.#pending) {
      if (!p.sent) continue;
      p.sent = false;
      if (p.repeatable) p.unknown = true;
      else this.#settle(seq, p, ambiguous(p.what));
    }
  }

  #tooLarge(seq: number, bytes: number): void {
    const p = this.#pending.get(seq);
    if (p !== undefined)
      this.#settle(seq, p, reject("too_large", `${p.what} is ${bytes} bytes on the wire`, "send less at once"));
  }

  #expire(): void {
    const now = performance.now();
    for (const [seq, p] of this.#pending) {
      if (p.deadline > now) return;
      this.#settle(
        seq,
        p,
        fateOf(p, () => late(p.what, this.#deadlineMs, this.#lastFailure)),
      );
    }
  }
}

const isCommand = (p: Pending): boolean => (p.frame[1] as { readonly type: string }).type !== "get";
/** What to say of a request that will not be tried again: a command that any member may have taken is not called undone. */
const fateOf = (p: Pending, undone: () => Rejection): Rejection =>
  (p.unknown || p.sent) && isCommand(p) ? ambiguous(p.what) : undone();
const isRejection = (x: readonly unknown[] | Rejection): x is Rejection => "rejected" in x;
const refused = (rejection: Rejection) => ({ ok: false, rejection }) as const;

/** `[seq, 1, index, version, changed, replayed, answer?]`, from a member: its shape is trusted. */
function answerOf(frame: readonly unknown[]): StreamAnswer {
  const [, , index, version, changed, replayed, answer] = frame;
  const given = {
    ok: true,
    index: index as number,
    version: version as number,
    changed: changed as boolean,
    replayed: replayed as boolean,
  } as const;
  return answer === undefined ? given : { ...given, answer };
}

/** `[seq, 2, stored or null, index]` */
const readOf = (frame: readonly unknown[]): StreamRead => ({
  ok: true,
  stored: frame[2] as Stored | null,
  index: frame[3] as number,
});

/** `[seq, 0, reason, message, hint]`. A reason newer than this client is kept in the message. */
function rejectionOf(frame: readonly unknown[]): Rejection {
  const [, , reason, message, hint] = frame.map(String) as [string, string, string, string, string];
  return reason in reasons ? reject(reason as Reason, message, hint) : reject("conflict", `${reason}: ${message}`, hint);
}

const tooMany = (max: number): Rejection =>
  reject("too_many", `${max} requests of this client are unanswered`, "wait for answers before you ask more");
const ambiguous = (what: string): Rejection =>
  reject(
    "ambiguous",
    `no answer to ${what}: it may or may not have been done`,
    "repeat it with the same request id, or read back first",
  );
const late = (what: string, ms: number, why: string): Rejection =>
  reject("deadline", `${what} was not taken within ${ms} ms: ${why}`, "is a majority of the members up? aether cluster status");
const closedByUs = (what: string): Rejection =>
  reject("not_ready", `${what} was not sent: the client is closed`, "open a new one");
