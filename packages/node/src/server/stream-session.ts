/**
 * One /v1/stream connection: many commands in flight, answers coalesced. This is the hot path of every busy client and
 * of followers that forward, so it is plain TypeScript: no Promise and no timer per command.
 */
import { frameKinds, streamInFlightMax, type HelloFrame, type ServerFrame } from "@aether/core/api/stream-frames";
import { reject, type Command, type Rejection } from "@aether/core/kernel/command";
import { roles, type Identity, type RequestId, type Role } from "@aether/core/kernel/event";
import type { Registry } from "@aether/core/kernel/registry";
import type { Answer, EventStore, Submission } from "@aether/store/types";
import { Packr } from "msgpackr";
import type { Gateway } from "./gateway.ts";

/** Largest message taken from a client, bytes. */
export const streamMessageBytesMax = 4 * 1024 * 1024;
/** Answers a client has not read yet: above this, no more is read from it until it has caught up … */
const pauseAboveBytes = 1024 * 1024;
const resumeBelowBytes = 256 * 1024;
/** … and above this (many large reads at once) it is disconnected. */
const dropAboveBytes = 64 * 1024 * 1024;
const readDeadlineMs = 5_000;
const limits = { inFlight: streamInFlightMax, messageBytes: streamMessageBytesMax };

/** What the session needs of a websocket. */
export interface StreamSocket {
  readonly bufferedAmount: number;
  send(data: Uint8Array, sent: (error?: Error | null) => void): void;
  pause(): void;
  resume(): void;
  close(code: number, reason: string): void;
}

export interface StreamDeps {
  readonly node: string;
  readonly store: EventStore;
  readonly gateway: Gateway;
  readonly registry: Registry;
  /** Address of the member that leads, for clients that would rather talk to it directly. */
  readonly leader: () => { readonly node: string; readonly address: string } | null;
  /** A frame that this caller may not send. */
  readonly onDenied: (what: string, caller: Identity) => void;
}

export interface StreamSession {
  /** One binary message: a msgpackr array of frames. */
  onMessage(data: Uint8Array): void;
  readonly inFlight: number;
}

type AnswerFrame = ServerFrame | HelloFrame;
const codec = new Packr({ useRecords: false, int64AsType: "number" });

/** Greets the client and serves its frames as `caller` until the socket closes. */
export function openStreamSession(socket: StreamSocket, caller: Identity, d: StreamDeps): StreamSession {
  let inFlight = 0;
  let paused = false;
  let out: AnswerFrame[] = [];

  const relax = (): void => {
    if (paused && socket.bufferedAmount < resumeBelowBytes) {
      paused = false;
      socket.resume();
    }
  };
  const flush = (): void => {
    if (out.length === 0) return;
    const bytes = Uint8Array.from(codec.pack(out));
    out = [];
    socket.send(bytes, relax);
    if (socket.bufferedAmount > dropAboveBytes) return socket.close(1013, "the client does not read its answers");
    if (!paused && socket.bufferedAmount > pauseAboveBytes) {
      paused = true;
      socket.pause();
    }
  };
  const say = (frame: AnswerFrame): void => {
    if (out.length === 0) queueMicrotask(flush);
    out.push(frame);
  };
  const refuse = (seq: number, r: Rejection): void => say([seq, frameKinds.refused, r.reason, r.message, r.hint]);
  const settled = (seq: number, a: Answer): void => {
    inFlight--;
    if (!a.ok) return refuse(seq, a.rejection);
    const frame = [seq, frameKinds.done, a.index, a.version, a.changed, a.replayed] as const;
    say(a.answer === undefined ? frame : [...frame, a.answer]);
  };
  const serve = (frame: ParsedFrame, reads: ReadFrame[]): void => {
    if (inFlight >= streamInFlightMax) return refuse(frame.seq, tooMany());
    if (frame.body.type === "get") {
      inFlight++;
      reads.push({ seq: frame.seq, noun: String(frame.body["noun"]), id: frame.body.id });
      return;
    }
    const submission = toSubmission(frame, caller, d.registry);
    if ("rejected" in submission) {
      if (submission.reason === "forbidden") d.onDenied(`stream: ${submission.message}`, caller);
      return refuse(frame.seq, submission);
    }
    inFlight++;
    d.gateway.submit(submission, (a) => settled(frame.seq, a));
  };
  const answerReads = (reads: readonly ReadFrame[], at: number | Rejection): void => {
    for (const { seq, noun, id } of reads) {
      inFlight--;
      if (typeof at === "number") say([seq, frameKinds.found, d.store.world.get(noun, id) ?? null, at]);
      else refuse(seq, at);
    }
  };

  say(["hello", { node: d.node, leader: d.leader(), limits }]);
  return {
    get inFlight() {
      return inFlight;
    },
    onMessage: (data) => {
      const frames = parseMessage(data);
      if (frames === null) return socket.close(1007, "not a msgpackr array of frames [seq, body, request]");
      const reads: ReadFrame[] = [];
      for (const frame of frames) serve(frame, reads);
      if (reads.length > 0) void d.gateway.barrier(readDeadlineMs).then((at) => answerReads(reads, at));
    },
  };
}

interface ReadFrame {
  readonly seq: number;
  readonly noun: string;
  readonly id: string;
}
interface ParsedFrame {
  readonly seq: number;
  readonly body: Command;
  readonly request: unknown;
  readonly actor: unknown;
}

const tooMany = (): Rejection =>
  reject("too_many", `${streamInFlightMax} requests of this connection are unanswered`, "wait for answers before sending more");

/** Null when the message is not frames at all: the connection is then of no use. */
function parseMessage(data: Uint8Array): readonly ParsedFrame[] | null {
  let message: unknown;
  try {
    message = codec.unpack(data);
  } catch {
    return null;
  }
  if (!Array.isArray(message)) return null;
  const frames: ParsedFrame[] = [];
  for (const raw of message as unknown[]) {
    if (!Array.isArray(raw)) return null;
    const [seq, body, request, actor] = raw as unknown[];
    if (!Number.isSafeInteger(seq) || !isCommandShaped(body)) return null;
    frames.push({ seq: seq as number, body, request: request ?? null, actor: actor ?? null });
  }
  return frames;
}

function isCommandShaped(body: unknown): body is Command {
  if (typeof body !== "object" || body === null) return false;
  const { type, id } = body as Record<string, unknown>;
  return typeof type === "string" && typeof id === "string";
}

/** Parses the command and settles who asks: the certificate, or whom a member vouches for. */
function toSubmission(frame: ParsedFrame, caller: Identity, registry: Registry): Submission | Rejection {
  const type = registry.command(frame.body.type);
  if (type === undefined) return reject("invalid", `there is no command ${frame.body.type}`, "see docs/ for the commands");
  const actor = frame.actor === null ? caller : caller.role === "member" ? parseActor(frame.actor) : null;
  if (actor === null)
    return reject("forbidden", "only a member may speak for somebody else", "leave the identity out of the frame");
  const request = parseRequest(frame.request, caller, actor);
  if (request === undefined) return reject("invalid", "the request id is a string of 1 to 128 characters, or null", "");
  const command = type.parse(frame.body);
  return "rejected" in command ? (command as Rejection) : { command, actor, request };
}

function parseActor(raw: unknown): Identity | null {
  if (typeof raw !== "object" || raw === null) return null;
  const { name, role } = raw as Record<string, unknown>;
  if (typeof name !== "string" || name.length === 0 || name.length > 128) return null;
  return roles.includes(role as Role) ? { name, role: role as Role } : null;
}

/** A client names its requests by a string; a member that forwards gives the client's name as well. */
function parseRequest(raw: unknown, caller: Identity, actor: Identity): RequestId | null | undefined {
  if (raw === null) return null;
  if (isRequestName(raw)) return { client: clientOf(actor), id: raw };
  if (caller.role !== "member" || typeof raw !== "object") return undefined;
  const { client, id } = raw as Record<string, unknown>;
  return isRequestName(client) && isRequestName(id) ? { client, id } : undefined;
}

const isRequestName = (x: unknown): x is string => typeof x === "string" && x.length >= 1 && x.length <= 128;

/** Request ids are a namespace of their own for each identity. */
export const clientOf = (who: Identity): string => `${who.role}:${who.name}`;
