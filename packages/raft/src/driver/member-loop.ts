/**
 * One member's event loop. A turn steps a bounded number of inputs, takes what the core wants done, and does it in this
 * order: the durable write begins (and runs on while the loop does), messages that may leave at once, entries to apply,
 * answers. What must not be said before it is durable (`thenSend`) leaves only when {@link GroupCommit} says so.
 */
import { applyConfigChange } from "../config-change.ts";
import { ChangeRefused, TransferFailed } from "../errors.ts";
import {
  type AppendBatch,
  type Boot,
  type Change,
  type ConfigChange,
  type CoreStatus,
  type Entry,
  type Envelope,
  type Index,
  type Input,
  Kind,
  type Membership,
  type NodeId,
  type Outcome,
  type RaftCore,
  type Ready,
  type Role,
  type SnapMeta,
} from "../types.ts";
import { answersOf } from "./answers.ts";
import { ApplyQueue } from "./apply-queue.ts";
import type { Driver, DriverParts } from "./driver.ts";
import { GroupCommit } from "./group-commit.ts";
import { Inbox } from "./inbox.ts";
import { Outgoing } from "./outgoing.ts";
import { PeerBook } from "./peer-book.ts";
import { PendingOperations } from "./pending-operations.ts";
import { ReadBarriers } from "./read-barriers.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import { Succession } from "./succession.ts";
import { Ticker } from "./ticker.ts";

/** Readies one turn acts on before it lets the event loop go on. */
const maxReadiesPerTurn = 4;

export class MemberLoop implements Driver {
  readonly stats: { turns: number; inputs: number; batches: number; groups: number; lateTicks: number };
  readonly #parts: DriverParts;
  readonly #core: RaftCore;
  readonly #writer: GroupCommit;
  readonly #outgoing: Outgoing;
  readonly #apply: ApplyQueue;
  readonly #reads: ReadBarriers;
  readonly #operations: PendingOperations;
  readonly #keeper: SnapshotKeeper;
  readonly #peers: PeerBook;
  readonly #ticker: Ticker;
  readonly #succession: Succession;
  readonly #inbox = new Inbox();
  #restored: Promise<void> = Promise.resolve();
  #scheduled = false;
  #stopped: Promise<void> | null = null;
  #role: Role;
  /** Payload bytes proposed here in this term and not yet applied. */
  #unappliedBytes = 0;
  #lagging = false;
  #membershipMoved = false;
  #turnEndsAt = 0;
  readonly #spent = (): boolean => this.#parts.clock.now() >= this.#turnEndsAt;

  /** `boot` is what `core` was made from. */
  constructor(parts: DriverParts, core: RaftCore, boot: Boot) {
    this.#parts = parts;
    const { clock, log, snapshots, transport, stateMachine, options } = parts;
    this.stats = { turns: 0, inputs: 0, batches: 0, groups: 0, lateTicks: 0 };
    this.#core = core;
    this.#role = core.status().role;
    this.#outgoing = new Outgoing(transport, clock);
    this.#writer = new GroupCommit(log, clock, options.stallMs, boot.hard, {
      durable: (batches) => this.#durable(batches),
      sick: (sick) => this.#step({ k: "stall", sick }),
      failed: (e) => this.#fail(e),
    });
    this.#apply = new ApplyQueue(stateMachine, boot.applied, boot.membership, {
      configReached: (entry, change) => this.#configReached(entry, change),
      applied: (index, bytes, slice) => this.#applied(index, bytes, slice),
    });
    this.#reads = new ReadBarriers(clock, Math.floor(parts.rng() * 2 ** 48), (key) => this.#core.step({ k: "read", key }));
    this.#operations = new PendingOperations(clock);
    this.#keeper = new SnapshotKeeper({
      stateMachine,
      snapshots,
      transport,
      log: log.view,
      clock,
      applied: () => this.#apply.applied,
      streamEnded: (to, index, ok) => this.#step({ k: "snapStatus", to, index, ok }),
      failed: (e) => this.#fail(e),
    });
    this.#peers = new PeerBook(parts.id, parts.transport, parts.addressOf);
    this.#ticker = new Ticker(clock, options.tickMs, () => this.#schedule());
    const role = (): Role => core.status().role;
    this.#succession = new Succession({ clock, rng: parts.rng, role, step: (input) => this.#step(input) });
  }

  start(): void {
    const { transport, boot, stateMachine } = this.#parts;
    transport.onRecv = (batch) => this.#receive(batch);
    transport.onUnreachable = (to) => this.#step({ k: "unreachable", to });
    transport.onGone = (id) => this.#succession.gone(id);
    transport.onSnapshot = (from, term, meta) => {
      this.#inbox.put({ from, to: this.#parts.id, term, m: { t: "snapOffer", meta } });
      this.#schedule();
    };
    this.#peers.membership(this.#apply.membership);
    this.#ticker.start();
    if (boot.snap.id.index > stateMachine.applied) this.#restore(boot.snap).catch((e: unknown) => this.#fail(e));
    this.#schedule();
  }

  propose(data: readonly Uint8Array[]): Outcome {
    if (this.#stopped !== null) return refused("noLeader", 0);
    if (this.#lagging && this.#role.state === "leader") return refused("uncommittedQuota", this.#role.leader);
    const outcome = this.#ask({ k: "propose", data });
    if (outcome.ok) for (const bytes of data) this.#unappliedBytes += bytes.length;
    return outcome;
  }

  readBarrier(deadlineMs: number): Promise<Index> {
    const waiting = this.#reads.wait(deadlineMs);
    this.#schedule();
    return waiting;
  }

  change(changes: readonly Change[], context: Uint8Array, deadlineMs: number): Promise<Membership> {
    if (this.#stopped !== null) return Promise.reject(new ChangeRefused("stopped", 0));
    const outcome = this.#ask({ k: "change", change: { changes, transition: "auto", leave: false, context } });
    if (!outcome.ok) return Promise.reject(new ChangeRefused(outcome.why, outcome.leader));
    return this.#operations.waitForChange(outcome.last, outcome.term, deadlineMs);
  }

  transfer(to: NodeId, deadlineMs: number): Promise<void> {
    if (this.#stopped !== null) return Promise.reject(new TransferFailed("stopped", 0));
    const { state, leader } = this.#role;
    if (state !== "leader") return Promise.reject(new TransferFailed("notLeader", leader));
    if (to === this.#parts.id) return Promise.resolve();
    const outcome = this.#step({ k: "transfer", to });
    if (outcome?.ok === false) return Promise.reject(new TransferFailed(outcome.why, outcome.leader));
    return this.#operations.waitForTransfer(to, deadlineMs);
  }

  status(): CoreStatus {
    return this.#core.status();
  }

  async compact(upTo: Index): Promise<void> {
    const { log, snapshots, stateMachine } = this.#parts;
    const newest = snapshots.latest()?.id.index ?? 0;
    const limit = Math.min(upTo, stateMachine.applied, newest, this.#keeper.pinned());
    if (this.#stopped !== null || limit < log.view.first()) return;
    try {
      await log.compact(limit);
    } catch (e) {
      this.#fail(e);
      throw e;
    }
    this.#step({ k: "compacted", index: limit });
  }

  snapshot(): Promise<SnapMeta> {
    if (this.#stopped !== null) return Promise.reject(new Error("the raft driver is stopped"));
    return this.#keeper.create();
  }

  refreshPeers(): void {
    if (this.#stopped === null) this.#peers.refresh();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#wind();
    return this.#stopped;
  }

  async #wind(): Promise<void> {
    const { transport } = this.#parts;
    this.#ticker.stop();
    this.#inbox.clear();
    this.#outgoing.stop();
    this.#succession.stop();
    transport.onRecv = () => undefined;
    transport.onUnreachable = () => undefined;
    transport.onGone = () => undefined;
    transport.onSnapshot = () => undefined;
    this.#reads.stop();
    this.#operations.stop();
    // Without peers every outgoing stream breaks, so that waiting for them ends.
    transport.setPeers([]);
    await Promise.all([this.#writer.close(), this.#keeper.stop()]);
  }

  /** The end of this member: nothing is sent, written or answered after it. */
  #fail(cause: unknown): void {
    if (this.#stopped !== null) return;
    this.#stopped = this.#wind();
    try {
      this.#parts.options.onFatal(cause instanceof Error ? cause : new Error(String(cause)));
    } catch {
      // onFatal ends the process. Where it cannot (a test, a simulator) it throws, and nobody above could do more.
    }
  }

  #receive(batch: readonly Envelope[]): void {
    let last = 0;
    for (const envelope of batch) {
      // An offer is only believed from the transport's own hand, once the data is on disk.
      if (envelope.m.t === "snapOffer") continue;
      if (envelope.from !== last) this.#peers.heard(envelope.from, this.#parts.clock.now());
      last = envelope.from;
      this.#inbox.put(envelope);
    }
    // An idle member acts at once: a lone writer waits for every hop on the way. Beside a write, what arrives is gathered for the next.
    if (this.#scheduled || this.#writer.busy) this.#schedule();
    else this.#turn();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped !== null) return;
    this.#scheduled = true;
    this.#parts.clock.immediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#stopped !== null) return;
    const { clock, options } = this.#parts;
    try {
      this.stats.turns += 1;
      this.#turnEndsAt = clock.now() + options.maxTurnMs;
      this.stats.inputs += this.#inbox.drain(options.maxInputsPerTurn, this.#spent, (e) => this.#core.step({ k: "recv", e }));
      this.#tick();
      this.#reads.flush();
      let readies = 0;
      while (this.#core.pending() && readies < maxReadiesPerTurn && (readies === 0 || !this.#spent())) {
        readies += 1;
        this.#act(this.#core.take());
      }
      // At least one slice a turn, so that a busy inbox cannot starve the state machine.
      if (readies === 0 || !this.#spent()) this.#apply.run(this.#spent);
      this.#lagging = this.#applyLags();
    } catch (e) {
      this.#fail(e);
      return;
    }
    if (this.#inbox.waiting > 0 || this.#apply.ready || this.#reads.asks || this.#core.pending()) this.#schedule();
  }

  /** At most one tick a turn, after the messages: a process that was paused hears its leader before it counts the time. */
  #tick(): void {
    const due = this.#ticker.take();
    if (due === "none") return;
    this.stats.lateTicks = this.#ticker.late;
    this.stats.inputs += 1;
    this.#core.step({ k: "tick" });
    this.#reads.tick();
    this.#operations.tick();
    this.#peers.tick(this.#parts.clock.now());
    // After a pause the write under way looks slow because nobody was there to see it end.
    if (due === "onTime") this.#writer.watch();
    if (this.#operations.transferring) {
      const { role, transferee } = this.#core.status();
      if (role.state === "leader" && transferee === 0) this.#operations.transferAborted();
    }
  }

  /** Does what one Ready asks for. What was applied is told before a loss of leadership, so that fewer outcomes stay open. */
  #act(r: Ready): void {
    const { stateMachine } = this.#parts;
    // The disk begins first: a send wakes its receiver, which on few cores takes this thread's place for longer than a sync may take.
    if (r.append !== null) {
      this.stats.batches += 1;
      this.#writer.push(r.append);
    }
    this.#send(r.send);
    this.#apply.add(r.apply);
    this.#apply.run(this.#spent);
    for (const { key, index } of r.reads) this.#reads.answered(key, index, this.#apply.applied);
    for (const key of r.readsFailed) this.#reads.failed(key);
    if (r.dropped.length > 0) stateMachine.onDropped(r.dropped);
    if (r.role !== null) this.#roleChanged(r.role);
    for (const { to, atLeast } of r.snapshotTo) this.#keeper.serve(to, atLeast, this.#role.term);
  }

  #roleChanged(role: Role): void {
    this.#role = role;
    this.#unappliedBytes = 0;
    if (role.state !== "leader") this.#keeper.forgetWaiting();
    this.#operations.roleChanged(this.#parts.id, role);
    if (role.leader !== 0) this.#reads.leaderKnown();
    this.#parts.stateMachine.onRole(role);
  }

  /** Own answers to oneself go straight back into the core. */
  #send(envelopes: readonly Envelope[]): void {
    if (envelopes.length === 0 || this.#stopped !== null) return;
    const { id } = this.#parts;
    const own = envelopes.filter(({ to }) => to === id);
    for (const e of own) this.#core.step({ k: "recv", e });
    this.#outgoing.send(own.length === 0 ? envelopes : envelopes.filter(({ to }) => to !== id));
  }

  /** The batches are on disk, in order. A snapshot among them is restored before anything behind it is answered. */
  #durable(batches: readonly AppendBatch[]): Promise<void> | undefined {
    this.stats.groups = this.#writer.groups;
    const at = batches.findIndex(({ snap }) => snap !== null);
    const meta = batches[at]?.snap ?? null;
    this.#release(meta === null ? batches : batches.slice(0, at));
    if (meta === null || this.#stopped !== null) return undefined;
    return this.#restore(meta).then(() => {
      this.#release(batches.slice(at, at + 1));
      return this.#durable(batches.slice(at + 1));
    });
  }

  #release(batches: readonly AppendBatch[]): void {
    if (this.#stopped !== null || batches.length === 0) return;
    this.#send(answersOf(batches));
    for (const { token, term, last, snap } of batches)
      this.#core.step({ k: "stored", token, term, last, snap: snap?.id.index ?? 0 });
    // A follower has mostly said all there is to say.
    if (this.#core.pending()) this.#schedule();
  }

  /** One after the other: a newer snapshot may arrive while the one found at start is still being restored. */
  #restore(m: SnapMeta): Promise<void> {
    this.#restored = this.#restored.then(() => this.#restoreNow(m));
    return this.#restored;
  }

  async #restoreNow(m: SnapMeta): Promise<void> {
    await this.#apply.restore(m, () => this.#keeper.restore(m));
    this.#operations.appliedTo(m.id.index);
    this.#reads.appliedTo(m.id.index);
    this.#peers.membership(m.membership);
    this.#schedule();
  }

  /**
   * The state machine's membership follows its own entries: the core's is ahead of them when a received snapshot has overtaken
   * what still waits to be applied, and rows flushed with that one would have the changes in between applied once more after a crash.
   */
  #configReached(entry: Entry, change: ConfigChange): Membership {
    const before = this.#apply.membership;
    const next = applyConfigChange(before, change);
    const after = "reason" in next ? before : next;
    this.#core.step({ k: "configApplied", index: entry.index, change });
    this.#operations.configApplied(entry, change, before, after);
    this.#outgoing.flush();
    this.#membershipMoved = true;
    return after;
  }

  #applied(index: Index, bytes: number, slice: readonly Entry[]): void {
    const { state, term } = this.#role;
    if (state === "leader") {
      for (const entry of slice) if (entry.term === term && entry.kind === Kind.normal) this.#unappliedBytes -= entry.data.length;
    }
    this.#core.step({ k: "applied", index, bytes });
    this.#operations.appliedTo(index);
    this.#reads.appliedTo(index);
    if (!this.#membershipMoved) return;
    // Only now: the entry's own context may be what tells the address of a new member.
    this.#membershipMoved = false;
    this.#peers.membership(this.#apply.membership);
  }

  #applyLags(): boolean {
    const { applyLagMax, applyLagBytesMax } = this.#parts.options;
    if (this.#apply.waiting === 0) return false;
    return this.#unappliedBytes > applyLagBytesMax || this.#core.status().hard.commit - this.#apply.applied > applyLagMax;
  }

  /** Steps an input that comes from outside a turn; a broken invariant ends the member. */
  #step(input: Input): Outcome | undefined {
    if (this.#stopped !== null) return undefined;
    try {
      this.stats.inputs += 1;
      const outcome = this.#core.step(input);
      this.#schedule();
      return outcome;
    } catch (e) {
      this.#fail(e);
      return undefined;
    }
  }

  #ask(input: Input): Outcome {
    return this.#step(input) ?? refused(this.#stopped === null ? "invalid" : "noLeader", this.#role.leader);
  }
}

function refused(why: (Outcome & { ok: false })["why"], leader: NodeId): Outcome {
  return { ok: false, why, leader };
}
