/**
 * The one door to the event store for everybody who is connected here: decides locally when this member leads, and
 * otherwise hands the submission to the leader, with the caller's identity asserted. Nobody is left without an answer.
 */
import { reject, type Reason, type Rejection } from "@aether/core/kernel/command";
import type { Index, NodeId } from "@aether/raft/types";
import type { Answer, EventStore, Submission } from "@aether/store/types";

/** The way to the leader, over this member's own stream connection. */
export interface LeaderLink {
  /** `done` is called exactly once, also when the connection breaks (`ambiguous`) or cannot be had (`no_leader`). */
  submit(leader: NodeId, s: Submission, done: (a: Answer) => void): void;
}

export interface GatewayOptions {
  readonly store: EventStore;
  readonly link: LeaderLink;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1), for the jitter between tries. */
  readonly random: () => number;
}

export interface Gateway {
  /** One try, no waiting: here or at the leader. For streams, whose clients retry by themselves. */
  submit(s: Submission, done: (a: Answer) => void): void;
  /**
   * Tries until it is settled or `deadlineMs` has passed. A submission with a request id is tried again also when its
   * fate is unknown, because the store answers a repeated id with the first answer; without one, unknown is the answer.
   */
  settle(s: Submission, deadlineMs: number): Promise<Answer>;
  /** Read point after everything acknowledged before the call; a rejection when it cannot be had in time. */
  barrier(deadlineMs: number): Promise<Index | Rejection>;
}

/** Refusals that say nothing was appended, so that trying again is always safe. */
const harmless: ReadonlySet<Reason> = new Set(["no_leader", "not_ready", "overloaded"]);
const pauseMinMs = 20;
const pauseMaxMs = 250;

export function makeGateway(o: GatewayOptions): Gateway {
  const submit = (s: Submission, done: (a: Answer) => void): void => {
    const { role } = o.store;
    if (role.state === "leader") return o.store.submit(s, done);
    if (role.leader === 0) return done({ ok: false, rejection: noLeader(), leader: 0 });
    o.link.submit(role.leader, s, done);
  };
  const once = (s: Submission, deadlineMs: number): Promise<Answer> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve({ ok: false, rejection: unanswered(s), leader: o.store.role.leader }), deadlineMs);
      submit(s, (a) => {
        clearTimeout(timer);
        resolve(a);
      });
    });
  return {
    submit,
    settle: async (s, deadlineMs) => {
      const until = o.now() + deadlineMs;
      let pause = pauseMinMs;
      for (;;) {
        const answer = await once(s, Math.max(1, until - o.now()));
        if (answer.ok || !worthAnotherTry(answer.rejection.reason, s)) return answer;
        const wait = pause * (0.5 + o.random());
        if (o.now() + wait >= until) return { ...answer, rejection: outOfTime(s, answer.rejection, deadlineMs) };
        await new Promise((resume) => setTimeout(resume, wait));
        pause = Math.min(pauseMaxMs, pause * 2);
      }
    },
    barrier: async (deadlineMs) => {
      try {
        return await o.store.barrier(deadlineMs);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "ReadFailed") throw error;
        const { why } = error as Error & { why: string };
        const hint = "try again, ask another node, or read with ?consistency=stale";
        if (why === "deadline") return reject("deadline", `the read was not confirmed by a quorum within ${deadlineMs} ms`, hint);
        if (why === "readQuota") return reject("overloaded", "too many reads are waiting for a quorum", hint);
        return reject("no_leader", `the read was not confirmed: ${why}`, hint);
      }
    },
  };
}

function worthAnotherTry(reason: Reason, s: Submission): boolean {
  return harmless.has(reason) || (reason === "ambiguous" && s.request !== null);
}

const noLeader = (): Rejection =>
  reject("no_leader", "no leader is known at the moment", "an election usually takes less than two seconds: try again");

function unanswered(s: Submission): Rejection {
  const again = s.request === null ? "read back before you repeat it" : "repeat it with the same Idempotency-Key";
  return reject("ambiguous", `no answer to ${s.command.type} in time: it may or may not have been done`, again);
}

/** What to say when time is up: unknown stays unknown; otherwise the deadline, naming what stood in the way. */
function outOfTime(s: Submission, last: Rejection, deadlineMs: number): Rejection {
  if (last.reason === "ambiguous") return unanswered(s);
  return reject("deadline", `${s.command.type} was not taken within ${deadlineMs} ms: ${last.message}`, last.hint);
}
