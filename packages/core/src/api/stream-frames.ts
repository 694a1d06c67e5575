/**
 * The frames of WS /v1/stream. A message is a msgpackr array of frames; both sides put into one message what one turn of their
 * event loop has for the other. Hot and therefore plain: types and guards, no Schema, nothing to load.
 */
import type { Command, Reason } from "../kernel/command.ts";
import type { Identity, RequestId } from "../kernel/event.ts";
import type { Stored } from "../kernel/world.ts";

/** Commands and reads that a connection may have unanswered; more are refused as `too_many`. */
export const streamInFlightMax = 4096;

/** A linearizable read of one thing. */
export interface GetRequest {
  readonly type: "get";
  readonly noun: string;
  readonly id: string;
}

/**
 * Client → server. `seq` is the client's own number for the answer. A string request id is unique within the caller's identity; a
 * member that forwards gives the whole {@link RequestId} and, 4th, whom it speaks for.
 */
export type CommandFrame = readonly [seq: number, command: Command, request: string | RequestId | null, actor?: Identity | null];
export type GetFrame = readonly [seq: number, get: GetRequest];

/** Server → client. */
export type DoneFrame = readonly [
  seq: number,
  kind: typeof frameKinds.done,
  index: number,
  version: number,
  changed: boolean,
  replayed: boolean,
  answer?: unknown,
];
export type RefusedFrame = readonly [seq: number, kind: typeof frameKinds.refused, reason: Reason, message: string, hint: string];
export type FoundFrame = readonly [seq: number, kind: typeof frameKinds.found, stored: Stored | null, index: number];
export type HelloFrame = readonly ["hello", Hello];
export type ServerFrame = DoneFrame | RefusedFrame | FoundFrame;

export const frameKinds = { refused: 0, done: 1, found: 2 } as const;

/** The first frame of the server. */
export interface Hello {
  readonly node: string;
  /** Who leads, for clients that would rather talk to it directly. */
  readonly leader: { readonly node: string; readonly address: string } | null;
  readonly limits: { readonly inFlight: number; readonly messageBytes: number };
}

export const isHelloFrame = (frame: unknown): frame is HelloFrame =>
  Array.isArray(frame) && frame[0] === "hello" && typeof frame[1] === "object" && frame[1] !== null;

/** Whether it has the shape of an answer; the fields behind the kind are the server's word. */
export function isServerFrame(frame: unknown): frame is ServerFrame {
  if (!Array.isArray(frame) || !Number.isSafeInteger(frame[0])) return false;
  const { length } = frame;
  if (frame[1] === frameKinds.done) return (length === 6 || length === 7) && Number.isSafeInteger(frame[2]);
  if (frame[1] === frameKinds.refused) return length === 5 && typeof frame[2] === "string";
  return frame[1] === frameKinds.found && length === 4 && Number.isSafeInteger(frame[3]);
}

export const isDone = (frame: ServerFrame): frame is DoneFrame => frame[1] === frameKinds.done;
export const isRefused = (frame: ServerFrame): frame is RefusedFrame => frame[1] === frameKinds.refused;
export const isFound = (frame: ServerFrame): frame is FoundFrame => frame[1] === frameKinds.found;
