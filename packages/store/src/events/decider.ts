/**
 * The leader's side of a command: admit, decide ahead of commit, propose, and answer exactly once.
 *
 * Decisions are made against applied rows plus the rows of own entries in flight, so commands on one row need not wait
 * for each other. A decision that appends nothing (a refusal by the rules, or "already so") is an observation of that
 * same state: it is answered only when what it was based on has committed and a quorum has confirmed this leader.
 */
import { hash } from "node:crypto";
import { isRejection, reject } from "@aether/core/kernel/command";
import type { Command, CommandType, Rejection } from "@aether/core/kernel/command";
import type { DomainEvent, EntryPayload, RecordedRequest } from "@aether/core/kernel/event";
import type { Noun } from "@aether/core/kernel/noun";
import type { Registry } from "@aether/core/kernel/registry";
import type { World } from "@aether/core/kernel/world";
import { invariant } from "@aether/raft/errors";
import type { Index, Refusal, Role, Term } from "@aether/raft/types";
import type { Answer, ConsensusPort, EventStoreOptions, Submission } from "../types.ts";
import type { AppliedState } from "./applied-state.ts";
import { nounOf } from "./applied-state.ts";
import { EntryTooLarge, encodeEntry } from "./entry-codec.ts";
import { InFlight } from "./in-flight.ts";
import type { Pending } from "./in-flight.ts";
import { Observations } from "./observations.ts";
import { Overlay } from "./overlay.ts";
import { nextStored } from "./rows.ts";
import type { Remembered } from "./sessions.ts";
import { packValue } from "./value-codec.ts";

export interface DeciderParts {
  readonly registry: Registry;
  readonly options: EventStoreOptions;
  readonly world: World;
  /** The applied state; replaced by a restore. */
  readonly state: () => AppliedState;
}

type Done = (a: Answer) => void;

interface KnownCommand {
  readonly noun: Noun;
  readonly type: CommandType;
}

export class Decider {
  role: Role = { state: "follower", term: 0, leader: 0 };
  private port: ConsensusPort | null = null;
  private readonly parts: DeciderParts;
  private readonly commands = new Map<string, KnownCommand>();
  private readonly overlay: Overlay;
  private readonly flight: InFlight;
  private readonly observations: Observations;
  /** `at` of the last own entry in flight. */
  private at = 0;
  /** Index of the own entry in flight whose events stand for others, 0 when there is none. */
  private expanding: Index = 0;

  constructor(parts: DeciderParts) {
    this.parts = parts;
    this.overlay = new Overlay(parts.world);
    this.flight = new InFlight(() => this.role.leader);
    this.observations = new Observations(
      () => this.role.leader,
      () => parts.state().applied.index,
    );
    for (const noun of parts.registry.nouns) for (const type of noun.commands) this.commands.set(type.type, { noun, type });
  }

  attach(port: ConsensusPort): void {
    this.port = port;
    this.observations.attach(port);
  }

  /** Callers waiting for an answer. */
  get inFlight(): number {
    return this.flight.callers + this.observations.callers;
  }

  submit(s: Submission, done: Done): void {
    const known = this.commands.get(s.command.type);
    const refusal = this.admit(s, known);
    if (refusal !== null || known === undefined) {
      done(this.refused(refusal ?? unknownCommand(s.command)));
      return;
    }
    const fingerprint = s.request === null ? "" : fingerprintOf(s.command);
    if (s.request !== null && this.answered(s, fingerprint, done)) return;
    this.decide(s, known, fingerprint, done);
  }

  /** Called for each applied entry, in order, after the rows changed. The callers it settles are told by the batch's end. */
  applied(index: Index, term: Term): void {
    // entries of a later leader may come before the word that leadership is lost
    if (this.role.state === "leader" && term > this.role.term) this.depose();
    const own = this.flight.take(index, term);
    if (own === null) return;
    if (index === this.expanding) this.expanding = 0;
    for (const event of own.events) this.overlay.settle(nounOf(this.parts.registry, event).name, event.id, index);
    const version = this.parts.world.get(own.noun, own.id)?.version ?? 0;
    invariant(!own.current || version === own.version, `what was decided ahead of commit is what entry ${index} made`);
  }

  /** Tells every caller whose outcome is known by now. */
  settle(): void {
    this.flight.tell();
    this.observations.settle();
  }

  onRole(role: Role): void {
    const before = this.role;
    this.role = role;
    if (before.state !== "leader" || (role.state === "leader" && role.term === before.term)) return;
    this.depose();
    this.settle();
  }

  onDropped(runs: readonly { readonly first: Index; readonly last: Index; readonly term: Term }[]): void {
    if (runs.some((run) => this.flight.holds(run.first, run.last, run.term))) this.depose();
    for (const run of runs) this.flight.drop(run.first, run.last, run.term);
    this.settle();
  }

  /** Callers whose entries' fate did not become known since leadership was lost are told that it is unknown. */
  giveUp(): void {
    this.flight.dropAll();
    this.settle();
  }

  /** The state was replaced, or the store closes: no caller may stay behind. */
  abandon(): void {
    this.depose();
    this.giveUp();
  }

  private depose(): void {
    this.overlay.clear();
    this.at = 0;
    this.expanding = 0;
    this.flight.orphan();
    this.observations.fail(deposed);
  }

  private admit(s: Submission, known: KnownCommand | undefined): Rejection | null {
    if (known === undefined) return unknownCommand(s.command);
    const { command, actor } = s;
    if (!known.type.roles.includes(actor.role)) {
      const who = known.type.roles.join(" or ");
      const denied = reject("forbidden", `${actor.role} ${actor.name} may not issue ${command.type}`, `it takes the role ${who}`);
      this.parts.options.onDenied?.(s, denied);
      return denied;
    }
    if (this.port === null) return reject("not_ready", "this member has not joined consensus yet", "try again shortly");
    if (this.role.state !== "leader") {
      const hint = this.role.leader === 0 ? "wait for an election and try again" : `ask member ${this.role.leader}`;
      return reject("no_leader", "this member does not lead", hint);
    }
    // an applied entry of the own term proves that every earlier entry is applied too: the term's first is the leader's no-op
    if (this.parts.state().applied.term !== this.role.term) {
      return reject("not_ready", "the new leader has not applied all earlier entries yet", "try again shortly");
    }
    if (this.inFlight >= this.parts.options.maxInFlight) {
      return reject("overloaded", `${this.inFlight} commands are in flight, which is the limit`, "slow down and try again");
    }
    if (command.id.includes("\0")) return reject("invalid", "an id may not hold a NUL character", "choose another id");
    if (s.request !== null && s.request.client.length + s.request.id.length > requestCharsMax) {
      return reject(
        "invalid",
        `client and request id have more than ${requestCharsMax} characters together`,
        "choose a shorter id",
      );
    }
    // half of a surrogate pair has no bytes of its own, so that two such ids could be taken for one
    if (s.request !== null && !(s.request.client.isWellFormed() && s.request.id.isWellFormed())) {
      return reject("invalid", "client and request id must be well-formed text", "choose another request id");
    }
    return null;
  }

  /** True when the request was answered from memory or attached to its first submission. */
  private answered(s: Submission, fingerprint: string, done: Done): boolean {
    const request = s.request;
    if (request === null) return false;
    const first = this.flight.find(request);
    const remembered = first === undefined ? this.parts.state().sessions.find(request.client, request.id) : undefined;
    const known = first?.fingerprint ?? remembered?.fingerprint;
    if (known === undefined) return false;
    if (known !== fingerprint) {
      const message = `request id ${request.id} of ${request.client} was used for another command before`;
      done(this.refused(reject("request_reused", message, "use a fresh id for each command")));
    } else if (first !== undefined) this.flight.join(first, done);
    else done(replay(remembered as Remembered));
    return true;
  }

  private decide(s: Submission, { noun, type }: KnownCommand, fingerprint: string, done: Done): void {
    // the rows that it will make are not in the overlay: nothing is decided ahead of what cannot be seen
    if (this.expanding > 0) {
      done(this.refused(expandingNow));
      return;
    }
    const { command, actor } = s;
    const version = this.overlay.get(noun.name, command.id)?.version ?? 0;
    const stale = staleness(command, noun.name, version);
    if (stale !== null) {
      this.observe(this.refused(stale), done);
      return;
    }
    const at = Math.max(this.parts.options.now(), this.at, this.parts.state().at);
    const decision = type.decide(this.overlay, command, { actor, at, bits: this.parts.options.drawBits() });
    if (isRejection(decision)) {
      this.observe(this.refused(decision), done);
      return;
    }
    const answer = decision.answer === undefined ? {} : { answer: decision.answer };
    if (decision.events.length === 0) {
      const index = Math.max(this.parts.state().applied.index, this.flight.lastIndex);
      this.observe({ ok: true, index, version, changed: false, replayed: false, ...answer }, done);
      return;
    }
    const tooNew = this.tooNew(decision.events);
    if (tooNew !== null) {
      this.observe(this.refused(tooNew), done);
      return;
    }
    this.propose(s, noun, { at, fingerprint, events: decision.events, answer: decision.answer }, done);
  }

  private propose(
    s: Submission,
    noun: Noun,
    made: { at: number; fingerprint: string; events: readonly DomainEvent[]; answer: unknown },
    done: Done,
  ): void {
    const { command, actor } = s;
    const version = this.versionAfter(noun.name, command.id, made.events, { at: made.at, actor });
    const request: RecordedRequest | null =
      s.request === null ? null : { ...s.request, fingerprint: made.fingerprint, version, answer: made.answer };
    const payload: EntryPayload = { at: made.at, actor, cause: command.type, request, events: made.events };
    const small = made.answer === undefined || packValue(made.answer).length <= answerBytesMax;
    invariant(small, `the answer of ${command.type} has at most ${answerBytesMax} bytes`);
    let bytes: Uint8Array;
    try {
      bytes = encodeEntry(payload);
    } catch (error) {
      if (!(error instanceof EntryTooLarge)) throw error;
      done(this.refused(reject("too_large", `${command.type} makes an ${error.message}`, "make it smaller or split it")));
      return;
    }
    const expands = made.events.some((event) => this.standsForOthers(event));
    const outcome = (this.port as ConsensusPort).propose([bytes]);
    if (!outcome.ok) {
      done({ ok: false, rejection: refusalOf(outcome.why), leader: outcome.leader });
      return;
    }
    invariant(outcome.term === this.role.term, "consensus tells of a new term before it takes entries in it");
    this.at = made.at;
    if (expands) this.expanding = outcome.first;
    this.ahead(made.events, { index: outcome.first, at: made.at, actor });
    const pending: Pending = {
      index: outcome.first,
      term: outcome.term,
      noun: noun.name,
      id: command.id,
      version,
      fingerprint: made.fingerprint,
      request: s.request,
      events: made.events,
      answer: made.answer,
      callers: [done],
      current: true,
    };
    this.flight.add(pending);
  }

  private standsForOthers(event: DomainEvent): boolean {
    const { expand } = nounOf(this.parts.registry, event);
    if (expand === undefined) return false;
    const [first] = expand(event, this.overlay);
    return first !== undefined;
  }

  private versionAfter(
    noun: string,
    id: string,
    events: readonly DomainEvent[],
    context: { at: number; actor: Submission["actor"] },
  ): number {
    let stored = this.overlay.get(noun, id);
    for (const event of events) {
      const about = nounOf(this.parts.registry, event);
      if (about.name === noun && event.id === id) stored = nextStored(about, stored, event, { ...context, index: 0 });
    }
    return stored?.version ?? 0;
  }

  private ahead(events: readonly DomainEvent[], context: { index: Index; at: number; actor: Submission["actor"] }): void {
    for (const event of events) {
      const about = nounOf(this.parts.registry, event);
      this.overlay.put(
        about.name,
        event.id,
        nextStored(about, this.overlay.get(about.name, event.id), event, context),
        context.index,
      );
    }
  }

  private observe(answer: Answer, done: Done): void {
    this.observations.add(answer, this.flight.lastIndex, done);
  }

  private tooNew(events: readonly DomainEvent[]): Rejection | null {
    for (const event of events) {
      const type = this.parts.registry.event(event.type);
      invariant(type !== undefined && type.v === event.v, `${event.type} v${event.v} is decided in its registered version`);
      // no cluster is below the first level, so most events need no look at the cluster's row
      if (type.level <= firstLevel) continue;
      const level = (this.parts.options.featureLevel ?? clusterFeatureLevel)(this.overlay);
      if (type.level > level) {
        const hint = "raise the cluster's feature level once every member runs a build that reads it";
        return reject("feature_level", `${event.type} needs feature level ${type.level}, the cluster is at ${level}`, hint);
      }
    }
    return null;
  }

  private refused(rejection: Rejection): Answer {
    return { ok: false, rejection, leader: this.role.leader };
  }
}

/** Every member remembers client, request id and answer of a great many requests: they have to stay small. */
const requestCharsMax = 512;
const answerBytesMax = 4 * 1024;

const deposed = reject(
  "no_leader",
  "leadership moved before the command could be answered; it had no effect",
  "ask the new leader",
);

const expandingNow = reject(
  "not_ready",
  "a restore is being applied, and nothing else is decided until it is",
  "try again shortly",
);

const unknownCommand = (c: Command): Rejection =>
  reject("invalid", `there is no command ${c.type}`, "see the API document for the commands there are");

function staleness(command: Command, noun: string, version: number): Rejection | null {
  if (command.ifVersion === undefined || command.ifVersion === version) return null;
  const now = version === 0 ? "does not exist" : `is at version ${version}`;
  return reject("stale", `${noun}/${command.id} ${now}, not at version ${command.ifVersion}`, "read it again and decide anew");
}

const replay = (r: Remembered): Answer => ({
  ok: true,
  index: r.index,
  version: r.version,
  changed: true,
  replayed: true,
  ...(r.answer === undefined ? {} : { answer: r.answer }),
});

/** The same command gives the same text; the order of its top-level fields does not matter. 96 bits. */
function fingerprintOf(command: Command): string {
  const fields = Object.entries(command).filter(([, value]) => value !== undefined);
  fields.sort(([a], [b]) => (a < b ? -1 : 1));
  return hash("sha256", packValue(fields), "base64url").slice(0, 16);
}

function refusalOf(why: Refusal): Rejection {
  switch (why) {
    case "uncommittedQuota":
      return reject("overloaded", "too much is waiting to be committed", "slow down and try again");
    case "tooLarge":
      return reject("too_large", "the entry is larger than consensus takes", "make it smaller or split it");
    case "stalled":
      return reject("overloaded", "the leader's disk is stalled", "try again; leadership moves if it lasts");
    case "noLeader":
    case "notLeader":
    case "transferring":
    case "configPending":
    case "readQuota":
    case "invalid":
      return reject("no_leader", `consensus refused the entry: ${why}`, "ask again, or ask the leader");
  }
}

const firstLevel = 1;

/** `featureLevel` of the cluster's row; the first before there is one. */
function clusterFeatureLevel(world: World): number {
  for (const { row } of world.all<{ readonly featureLevel?: unknown }>("cluster")) {
    if (typeof row.featureLevel === "number") return row.featureLevel;
  }
  return firstLevel;
}
