import { emptyMembership } from "../../core/confchange.ts";
import { firstMembersLog, makeMemoryLog, type MemoryLog } from "../../memory-log.ts";
import type { Clock, DriverOptions, Limits, NodeId, Outcome, Transport } from "../../types.ts";
import { type Driver, startDriver } from "../driver.ts";
import { defaultDriverOptions, defaultLimits } from "../default-options.ts";
import { type InProcessNetwork, makeInProcessNetwork } from "../in-process.ts";
import { Counter, type CounterContent, emptyCounter } from "./counter.ts";
import { GatedLog } from "./gated-log.ts";
import { PausableClock } from "./pausable-clock.ts";
import { makeMemorySnapshots, type MemorySnapshots } from "./memory-snapshots.ts";

/** What survives a member's process. */
interface Disk {
  readonly log: MemoryLog;
  readonly snapshots: MemorySnapshots;
  state: CounterContent;
}

export interface Member {
  readonly id: NodeId;
  readonly node: Driver;
  readonly machine: Counter;
  readonly log: GatedLog;
  readonly snapshots: MemorySnapshots;
  readonly transport: Transport;
  /** Pauses this member alone. */
  readonly clock: PausableClock;
  /** What ended it, if anything did. */
  fatal: Error | null;
}

export interface ClusterOptions {
  readonly clock: Clock & { advance(ms: number): Promise<void> };
  readonly seed?: number;
  readonly driver?: Partial<DriverOptions>;
  readonly limits?: Partial<Limits>;
}

/** A small generator of chance (mulberry32): the same seed gives the same run. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Real drivers, each with a counter and a log in memory, on one in-process network. */
export class Cluster {
  readonly network: InProcessNetwork;
  readonly members = new Map<NodeId, Member>();
  readonly #options: ClusterOptions;
  readonly #rng: () => number;
  readonly #disks = new Map<NodeId, Disk>();
  readonly #first: readonly NodeId[];

  constructor(first: readonly NodeId[], options: ClusterOptions) {
    this.#first = first;
    this.#options = options;
    this.#rng = seeded(options.seed ?? 1);
    this.network = makeInProcessNetwork({ clock: options.clock, rng: this.#rng });
    for (const id of first) this.start(id);
  }

  /** Starts a member from its disk; a new one is a first voter, or a joiner with an empty log. */
  start(id: NodeId): Member {
    let disk = this.#disks.get(id);
    if (disk === undefined) {
      const content = this.#first.includes(id) ? firstMembersLog(this.#first) : {};
      disk = { log: makeMemoryLog(content), snapshots: makeMemorySnapshots(), state: emptyCounter };
      this.#disks.set(id, disk);
    }
    const { driver, limits } = this.#options;
    const clock = new PausableClock(this.#options.clock);
    const machine = new Counter(disk.state);
    const log = new GatedLog(disk.log, clock);
    const transport = this.network.join(id, disk.snapshots);
    const onFatal = (e: Error): never => {
      member.fatal = e;
      throw e;
    };
    const membership = machine.content.applied.index === 0 ? emptyMembership : machine.content.membership;
    const node = startDriver({
      id,
      boot: { ...disk.log.boot(), applied: machine.applied, membership },
      log,
      snapshots: disk.snapshots,
      transport,
      stateMachine: machine,
      clock,
      rng: this.#rng,
      addressOf: (other) => `in-process:${other}`,
      options: { ...defaultDriverOptions, ...driver, onFatal },
      limits: { ...defaultLimits, ...limits },
      checks: "full",
    });
    const member: Member = { id, node, machine, log, snapshots: disk.snapshots, transport, clock, fatal: null };
    this.members.set(id, member);
    return member;
  }

  /** Ends a member as kill -9 would: what it had not written is gone. */
  async kill(id: NodeId): Promise<void> {
    const member = this.member(id);
    this.members.delete(id);
    await member.transport.close();
    const disk = this.#disks.get(id);
    if (disk !== undefined) disk.state = member.machine.flushed;
    member.log.failure ??= new Error("the process is gone");
    const life = { over: false };
    const stopping = member.node.stop().then(() => (life.over = true));
    member.log.release();
    // A write or a snapshot's piece under way may need a moment of the clock to end.
    await this.until(`member ${id} stops`, () => life.over, 1000);
    await stopping;
  }

  member(id: NodeId): Member {
    const member = this.members.get(id);
    if (member === undefined) throw new Error(`member ${id} is not running`);
    return member;
  }

  /** The member that leads with the highest term, if any does. */
  leader(): Member | undefined {
    const leading = [...this.members.values()].filter(({ machine }) => machine.role.state === "leader");
    return leading.toSorted((a, b) => b.machine.role.term - a.machine.role.term)[0];
  }

  /** Runs until `seen` holds; throws after `limitMs`. Returns the time it took. */
  async until(what: string, seen: () => boolean, limitMs = 20_000): Promise<number> {
    const { clock } = this.#options;
    const began = clock.now();
    while (!seen()) {
      if (clock.now() - began > limitMs) throw new Error(`not within ${limitMs} ms: ${what}`);
      await clock.advance(10);
    }
    return clock.now() - began;
  }

  async elected(): Promise<Member> {
    await this.until("a leader", () => this.leader() !== undefined);
    const leader = this.leader();
    if (leader === undefined) throw new Error("the leader is gone again");
    return leader;
  }

  /** Every running member has applied the same, and at least everything the leader has. */
  async agreed(): Promise<void> {
    await this.until("agreement", () => {
      const contents = [...this.members.values()].map(({ machine }) => machine.content);
      const last = this.leader()?.node.status().last.index;
      return contents.every((content) => content.chain === contents[0]?.chain && content.applied.index === last);
    });
  }

  async stop(): Promise<void> {
    for (const id of Array.from(this.members.keys())) await this.kill(id);
  }
}

/** The index of a proposal that must be taken. */
export function taken(outcome: Outcome): number {
  if (!outcome.ok) throw new Error(`refused: ${outcome.why}`);
  return outcome.last;
}
