/**
 * One node: a disk that stays, and now and then a process on it that puts the product's parts together as aetherd does:
 * log, event store, driver, the leader's membership keeper.
 */
import { makeContactClock } from "@aether/node/controllers/contact";
import { makeMembershipKeeper, type MembershipKeeper } from "@aether/node/controllers/membership";
import { makeLog } from "@aether/node/daemon/log";
import type { Command } from "@aether/core/kernel/command";
import type { Identity } from "@aether/core/kernel/event";
import { type Driver, startDriver } from "@aether/raft/driver/driver";
import { defaultDriverOptions, defaultLimits } from "@aether/raft/driver/default-options";
import type { LogStorage, LogView, Membership, NodeId, OpenVerdict, SnapshotStore, StateMachine } from "@aether/raft/types";
import { openEventStoreOn } from "@aether/store/events/open";
import { startLog, writeFirstLog } from "@aether/store/log/start";
import type { Answer, EventStore, EventStoreOptions } from "@aether/store/types";
import { Device, type DeviceFaults } from "../disk/device.ts";
import { LogDisk } from "../disk/log-disk.ts";
import { SnapshotFolder } from "../disk/snapshot-folder.ts";
import { StateFolder } from "../disk/state-disk.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type ClockFaults, makeProcessClock } from "../world/process-clock.ts";
import { Process } from "../world/world.ts";
import type { Cluster } from "./cluster.ts";

export const clusterId = "51".repeat(16);
/** How often a leader looks at its rows. */
const lookMs = 200;

/** What runs while the process does. */
export interface Running {
  readonly store: EventStore;
  readonly driver: Driver;
  readonly storage: LogStorage;
  readonly endpoint: Endpoint;
}

export class Disk {
  readonly log = new LogDisk();
  readonly state = new StateFolder();
  readonly snapshots = new SnapshotFolder();
}

export class SimNode {
  readonly name: string;
  /** Its number; null while its disk is empty and it has not been given one. */
  member: NodeId | null = null;
  disk = new Disk();
  process: Process | null = null;
  running: Running | null = null;
  /** The number whose disk has rotted somewhere: it may be found out any time. */
  rotten: NodeId | null = null;
  readonly #cluster: Cluster;
  readonly #clock: ClockFaults;
  /** How many times slower than the plan's its disk is. */
  readonly #diskTimes: number;
  #device: Device | null = null;

  constructor(cluster: Cluster, name: string, clock: ClockFaults) {
    this.#cluster = cluster;
    this.name = name;
    this.#clock = clock;
    const speed = cluster.stream("slow nodes");
    const [slow, { slowNodes, slowTimes }] = [speed.next(), cluster.plan];
    this.#diskTimes = slow < slowNodes ? slowTimes : 1;
  }

  /** Formats an empty disk; with voters, as one of the first members. False when the node was given another number meanwhile. */
  async format(member: NodeId, firstVoters: readonly NodeId[] | null): Promise<boolean> {
    const disk = new Disk();
    const formatting = new Process(`${this.name}+`);
    const device = new Device(this.#cluster.world, formatting, () => this.#cluster.calmDevice, this.#cluster.stream("format"));
    await writeFirstLog(disk.log.ports(device), { clusterId, nodeId: member }, firstVoters);
    if (this.member !== null) return false;
    this.member = member;
    this.disk = disk;
    return true;
  }

  /** Starts a process on the disk. */
  start(): void {
    const { world } = this.#cluster;
    const process = new Process(this.name);
    this.process = process;
    process.onDeath(() => this.#died());
    const open = (): void => {
      this.#open(process).catch((error: unknown) => this.#cluster.ended(this, process, error as Error));
    };
    world.after(0, process, "start", open);
  }

  /** Now, between any two events of the world. */
  crash(why: string): void {
    if (this.process === null) return;
    this.#cluster.world.tell(this.name, why);
    this.process.die();
  }

  /** At the beginning or end of one of its next writes. */
  crashAtWrite(writes: number): void {
    this.#device?.arm(writes, () => this.crash("is killed at a write"));
  }

  /** It does not die of what was planned for it. */
  spare(): void {
    this.#device?.disarm();
  }

  /** The disk is gone, and what the number has promised with it. */
  wipe(why: string): void {
    this.#cluster.world.tell(this.name, `${why}: member ${this.member} is lost`);
    this.process?.die();
    this.disk = new Disk();
    this.member = null;
  }

  /** Changes the wall clock, as a time service would. */
  stepClock(ms: number): void {
    this.#clock.wallOffsetMs += ms;
  }

  #died(): void {
    const chance = this.#cluster.stream("crash effects");
    this.disk.log.crash(chance);
    this.disk.state.crash(chance);
    this.disk.snapshots.crash(chance);
    if (this.#device !== null) this.#cluster.addDisk(this.#device.counts);
    this.process = null;
    this.running = null;
    this.#device = null;
  }

  #deviceFaults(): DeviceFaults {
    const { deviceFaults, calmDevice } = this.#cluster;
    return deviceFaults === calmDevice ? deviceFaults : { ...deviceFaults, times: this.#diskTimes };
  }

  async #open(process: Process): Promise<void> {
    const cluster = this.#cluster;
    const { world, plan, history } = cluster;
    const member = this.member as NodeId;
    const clock = makeProcessClock(world, process, this.#clock);
    const device = new Device(world, process, () => this.#deviceFaults(), cluster.stream(`disk/${this.name}`));
    this.#device = device;
    const { torn } = this.disk.log.database;
    const pace = { everyMs: 100, everyEntries: 16 };
    const identity = { clusterId, nodeId: member };
    const ports = this.disk.log.ports(device);
    const { verdict, storage } = await startLog(ports, identity, { clock, torn, cacheBytes: 16 * 1024, pace });
    if (storage === undefined) return this.#lost(verdict);
    const { view } = storage;
    for (let i = view.first(); i <= view.last().index; i++) {
      const [entry] = view.read(i, i + 1, 1) as [never];
      history.holds(member, entry, view.term(i - 1) as number);
    }
    const snapshots = this.disk.snapshots.open(device);
    const onFatal = (error: Error): never => {
      cluster.ended(this, process, error);
      // The process is dead: whatever this returns to runs on for nobody.
      return undefined as never;
    };
    const store = await openEventStoreOn(
      () => Promise.resolve(this.disk.state.open(device)),
      { ...this.#storeOptions(clock), onFatal },
      cluster.rules,
      view,
      snapshots,
    );
    const endpoint = cluster.network.join(member, this.name, process, snapshots);
    const boot = { ...bootOf(verdict), applied: store.stateMachine.applied, membership: store.membership };
    const driver = startDriver({
      id: member,
      boot,
      log: this.#observedLog(storage, member),
      snapshots,
      transport: endpoint,
      stateMachine: this.#observedStore(store, view, member),
      clock,
      rng: () => cluster.stream(`rng/${this.name}`).next(),
      addressOf: (id) => `sim:${id}`,
      options: {
        ...defaultDriverOptions,
        tickMs: plan.tickMs,
        electionTicks: plan.electionTicks,
        heartbeatTicks: plan.heartbeatTicks,
        onFatal,
      },
      limits: { ...defaultLimits, maxMsgBytes: 4096, maxInflightMsgs: 16, maxApplyBytes: 16 * 1024 },
      checks: "full",
    });
    store.attach(driver);
    this.running = { store, driver, storage, endpoint };
    world.tell(this.name, `runs as member ${member}, log ${view.first()}..${view.last().index}, applied ${store.applied}`);
    this.#lead(process, () => clock.now());
  }

  #storeOptions(clock: ReturnType<typeof makeProcessClock>): Omit<EventStoreOptions, "onFatal"> {
    const { plan } = this.#cluster;
    const chance = this.#cluster.stream(`bits/${this.name}`);
    const word = (): string =>
      chance
        .below(2 ** 32)
        .toString(16)
        .padStart(8, "0");
    return {
      dir: `sim/${this.name}`,
      now: () => clock.wall(),
      drawBits: () => word() + word() + word() + word(),
      flushMs: plan.flushMs,
      flushRows: 50,
      keepEntries: plan.keepEntries,
      snapshotEveryEntries: plan.snapshotEvery,
      maxInFlight: 1_000,
      timing: clock,
    };
  }

  /** The membership keeper, every so often, as the daemon's leader duties do. */
  #lead(process: Process, now: () => number): void {
    const { world } = this.#cluster;
    const contact = makeContactClock(now);
    const keeper = this.#keeper(contact);
    let busy = false;
    const look = (): void => {
      const { store } = this.running as Running;
      contact.onRole(store.role);
      if (store.role.state !== "leader") keeper.forget();
      else if (!busy) {
        busy = true;
        keeper
          .look()
          .catch((error: unknown) => this.#cluster.failed(error))
          .finally(() => (busy = false));
      }
      world.after(lookMs, process, "look", look);
    };
    look();
  }

  #keeper(contact: ReturnType<typeof makeContactClock>): MembershipKeeper {
    const { world } = this.#cluster;
    const { store, driver, endpoint } = this.running as Running;
    const line = (text: string): void => {
      if (text.includes(" membership ")) world.tell(this.name, text.slice(text.indexOf(" membership ") + 1));
    };
    const actor: Identity = { name: this.name, role: "member" };
    return makeMembershipKeeper({
      node: this.name,
      world: store.world,
      raft: driver,
      silenceOf: (members) => contact.ages(members, (id) => endpoint.heardAt.get(id)),
      submit: (command: Command) => new Promise<Answer>((resolve) => store.submit({ command, actor, request: null }, resolve)),
      log: makeLog(line, () => new Date(0)),
    });
  }

  /** A log that is not whole any more: the number is done for, the node comes back under a new one. */
  #lost(verdict: OpenVerdict): void {
    this.#cluster.foundLost(this, verdict);
    this.wipe(`finds its log ${verdict.v}${verdict.v === "lost" ? ` (${verdict.why})` : ""}`);
  }

  #observedLog(storage: LogStorage, member: NodeId): LogStorage {
    const { history } = this.#cluster;
    return {
      view: storage.view,
      append: async (batches) => {
        await storage.append(batches);
        history.durable(member, batches);
      },
      compact: (upTo) => storage.compact(upTo),
      stats: () => storage.stats(),
      close: () => storage.close(),
    };
  }

  #observedStore(store: EventStore, log: LogView, member: NodeId): StateMachine {
    const { history, world } = this.#cluster;
    const inner = store.stateMachine;
    const compare = (): void => {
      const { index, digest } = store.stateDigest();
      history.digest(member, index, digest);
      world.mix(digest);
    };
    return {
      get applied() {
        return inner.applied;
      },
      apply: (entries, membership: Membership) => {
        this.#cluster.observe(() => history.applies(member, entries, { membership, log, now: world.now }));
        inner.apply(entries, membership);
        this.#cluster.observe(compare);
      },
      restore: async (m, src: SnapshotStore) => {
        await inner.restore(m, src);
        history.counts.restores += 1;
        world.tell(this.name, `restores the snapshot at ${m.id.index}`);
        this.#cluster.observe(compare);
      },
      snapshot: (src) => inner.snapshot(src),
      onRole: (role) => {
        this.#cluster.observe(() => {
          if (!history.leads(member, role)) return;
          world.tell(this.name, `leads term ${role.term}`);
          const last = this.running?.driver.status().last.index;
          if (last !== undefined) history.leaderHolds(member, role.term, last);
        });
        inner.onRole(role);
      },
      onDropped: (runs) => inner.onDropped(runs),
    };
  }
}

function bootOf(verdict: OpenVerdict): Extract<OpenVerdict, { v: "clean" }>["boot"] {
  if (verdict.v !== "clean" && verdict.v !== "tornTail") throw new Error(`a log was opened with the verdict ${verdict.v}`);
  return verdict.boot;
}
