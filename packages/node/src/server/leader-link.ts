/**
 * A follower's own stream connection to the leader, over which it hands on what its clients ask. One connection at a
 * time; when it breaks, everything unanswered on it is `ambiguous` and whoever holds a request id asks again.
 */
import { isDone, isRefused, isServerFrame, streamInFlightMax } from "@aether/core/api/stream-frames";
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { NodeId } from "@aether/raft/types";
import type { Answer } from "@aether/store/types";
import { StreamConnection, type RequestFrame } from "../client/stream-connection.ts";
import type { ClientTlsOptions } from "../identity/tls.ts";
import type { LeaderLink } from "./gateway.ts";

export interface LeaderLinkOptions {
  readonly tls: ClientTlsOptions;
  readonly addressOf: (member: NodeId) => string | undefined;
}

interface Waiting {
  readonly command: string;
  readonly done: (a: Answer) => void;
}

interface Line {
  readonly leader: NodeId;
  readonly address: string;
  readonly connection: StreamConnection;
  readonly waiting: Map<number, Waiting>;
  /** Frames for when the leader has greeted; null once it has. */
  early: RequestFrame[] | null;
}

/** A link that dials when first used. `close()` settles what is unanswered. */
export function makeLeaderLink(o: LeaderLinkOptions): LeaderLink & { close(): void } {
  let line: Line | null = null;
  let seq = 0;
  let closed = false;

  const dial = (leader: NodeId, address: string): Line => {
    const waiting = new Map<number, Waiting>();
    const connection = new StreamConnection(address, o.tls, {
      opened: () => {
        for (const frame of l.early ?? []) connection.send(frame);
        l.early = null;
      },
      answered: (frames) => {
        for (const frame of frames) take(l, frame[0])?.done(answerOf(frame, leader));
      },
      tooLarge: (frame, bytes) => take(l, frame[0])?.done(failed(tooLarge(bytes), leader)),
      closed: () => {
        if (line === l) line = null;
        const unanswered = [...waiting.values()];
        waiting.clear();
        for (const { command, done } of unanswered) {
          done(failed(l.early === null ? lost(command, address) : unreachable(address), leader));
        }
      },
    });
    const l: Line = { leader, address, connection, waiting, early: [] };
    return l;
  };
  return {
    submit: (leader, s, done) => {
      const address = o.addressOf(leader);
      if (closed || address === undefined) return done(failed(unreachable(address ?? `member ${leader}`), leader));
      if (line !== null && (line.leader !== leader || line.address !== address)) {
        const old = line;
        line = null;
        old.connection.close("another member leads");
      }
      line ??= dial(leader, address);
      if (line.waiting.size >= streamInFlightMax) return done(failed(busy(), leader));
      seq = (seq + 1) % Number.MAX_SAFE_INTEGER;
      line.waiting.set(seq, { command: s.command.type, done });
      const frame = [seq, s.command, s.request, s.actor];
      if (line.early === null) line.connection.send(frame);
      else line.early.push(frame);
    },
    close: () => {
      closed = true;
      line?.connection.close("this node is ending");
    },
  };
}

function take(l: Line, seq: unknown): Waiting | undefined {
  const entry = l.waiting.get(seq as number);
  if (entry !== undefined) l.waiting.delete(seq as number);
  return entry;
}

function answerOf(frame: readonly unknown[], leader: NodeId): Answer {
  if (isServerFrame(frame) && isRefused(frame)) return failed(reject(frame[2], frame[3], frame[4]), leader);
  if (!isServerFrame(frame) || !isDone(frame))
    return failed(reject("ambiguous", "the leader's answer makes no sense", ""), leader);
  const [, , index, version, changed, replayed, answer] = frame;
  const settled = { ok: true, index, version, changed, replayed } as const;
  return answer === undefined ? settled : { ...settled, answer };
}

const failed = (rejection: Rejection, leader: NodeId): Answer => ({ ok: false, rejection, leader });
const unreachable = (who: string): Rejection =>
  reject("no_leader", `the leader at ${who} cannot be reached from this node`, "try again, or ask another node");
const busy = (): Rejection =>
  reject("overloaded", `${streamInFlightMax} commands to the leader are unanswered`, "try again in a moment");
const tooLarge = (bytes: number): Rejection => reject("too_large", `the command takes ${bytes} bytes`, "make it smaller");
const lost = (command: string, who: string): Rejection =>
  reject(
    "ambiguous",
    `the connection to the leader at ${who} broke before it answered ${command}`,
    "repeat it with the same request id",
  );
