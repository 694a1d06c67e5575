/** One node: a disk that stays, and now and then a process on it. */
import type { Floor, Floors } from "@aether/node/member/floors";
import type { Gateway } from "@aether/node/server/gateway";
import type { Seat } from "@aether/node/member/seats";
import type { Driver } from "@aether/raft/driver/driver";
import type { EntryId, LogStorage, NodeId, OpenVerdict } from "@aether/raft/types";
import { decodeHard, hardKey } from "@aether/store/log/keys";
import { writeFirstLog } from "@aether/store/log/start";
import type { EventStore } from "@aether/store/types";
import { Device, type DeviceFaults } from "../disk/device.ts";
import { Disk } from "../disk/disk.ts";
import type { Endpoint } from "../net/endpoint.ts";
import { type ClockFaults, makeProcessClock } from "../world/process-clock.ts";
import { Process } from "../world/world.ts";
import type { Cluster } from "./cluster.ts";
import { clusterId } from "./names.ts";
import { startOn } from "./start.ts";

/** A disk that is open, while others are asked about it and ever after. */
export interface Opened {
  readonly member: NodeId;
  readonly store: EventStore;
  readonly storage: LogStorage;
  /** As found at start. */
  readonly last: EntryId;
  readonly term: number;
}

/** What runs once the member takes part. */
export interface Running extends Opened {
  readonly driver: Driver;
  readonly gateway: Gateway;
  readonly endpoint: Endpoint;
}

/** An image of a disk, and what it can answer for. */
export interface Image {
  readonly disk: Disk;
  readonly member: NodeId;
  readonly last: EntryId;
  readonly term: number;
  /** Rows or a snapshot had rotted by then. */
  readonly stateRotten: boolean;
}

export class SimNode {
  readonly name: string;
  /** Its number; null while its disk is empty and it has not been given one. */
  member: NodeId | null = null;
  disk = new Disk();
  process: Process | null = null;
  opened: Opened | null = null;
  running: Running | null = null;
  /** What the process knows of others' disks. */
  floors: Floors | null = null;
  /** Whom it was told of when its disk was formatted. */
  seats: readonly Seat[] = [];
  /** Taken when a process ended, some time ago. */
  image: Image | null = null;
  /** Its disk is an older image of itself, which nobody has found out yet. */
  stale = false;
  /** It asks to be taken in. */
  asks = false;
  /** It was told to leave; it stays if the rules refuse. */
  leaving = false;
  /** It has left the cluster and does not come back. */
  gone = false;
  /** The number whose disk has rotted somewhere: it may be found out any time. */
  rotten: NodeId | null = null;
  /** Its rows, or a snapshot of theirs, have rotted somewhere. */
  stateRotten = false;
  /** Until then its disk has no room. */
  fullUntil = 0;
  /** Why it has no number, as the cluster records it. */
  verdict = "wiped";
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

  /** Its disk is slower than the others'. */
  get isSlow(): boolean {
    return this.#diskTimes > 1;
  }

  /** Its process waits for its disk. */
  get diskIsBusy(): boolean {
    return this.#device?.busy === true;
  }

  /** Formats an empty disk; with voters, as one of the first members. False when the node was given another number meanwhile. */
  async format(member: NodeId, firstVoters: readonly NodeId[] | null, seats: readonly Seat[]): Promise<boolean> {
    const disk = this.disk.retired();
    const formatting = new Process(`${this.name}+`);
    const device = new Device(this.#cluster.world, formatting, () => this.#cluster.calmDevice, this.#cluster.stream("format"));
    await writeFirstLog(disk.log.ports(device), { clusterId, nodeId: member }, firstVoters);
    if (this.member !== null) return false;
    this.member = member;
    this.disk = disk;
    this.seats = seats;
    return true;
  }

  /** Starts a process on the disk. */
  start(): void {
    const { world } = this.#cluster;
    const process = new Process(this.name);
    this.process = process;
    process.onDeath(() => this.#died());
    const device = new Device(world, process, () => this.deviceFaults(), this.#cluster.stream(`disk/${this.name}`));
    this.#device = device;
    const open = (): void => {
      const clock = makeProcessClock(world, process, this.#clock);
      startOn({ cluster: this.#cluster, node: this, process, device, clock }).catch((error: unknown) =>
        this.#cluster.ended(this, process, error as Error),
      );
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

  /** The same of its snapshots, whenever it comes to write one. */
  crashAtSnapshot(writes: number, onCrash: () => void): void {
    const die = (): void => {
      onCrash();
      this.crash("is killed at a write of a snapshot");
    };
    this.#device?.arm(writes, die, "snapshot");
  }

  /** It does not die of what was planned for it. */
  spare(): void {
    this.#device?.disarm();
  }

  /** The disk is gone, and what the number has promised with it. */
  wipe(why: string): void {
    this.retire(why, "wiped");
    this.disk = new Disk();
  }

  /** The number cannot be used any more; what lies beside the log stays. */
  retire(why: string, verdict = "lost"): void {
    this.#cluster.world.tell(this.name, `${why}: member ${this.member} is lost`);
    this.process?.die();
    this.disk = this.disk.retired();
    this.member = null;
    this.image = null;
    this.stale = false;
    this.stateRotten = false;
    this.verdict = verdict;
  }

  /** Dies, and an image of what its disk then holds is kept. */
  crashAndImage(why: string): void {
    const { member } = this;
    this.crash(why);
    const held = this.hardRecord();
    if (member === null || held === undefined) return;
    const { stateRotten } = this;
    this.image = { disk: this.disk.clone(), member, last: held.last, term: held.hard.term, stateRotten };
  }

  /** The hard state on its disk, with the end of the log that it belongs to. */
  hardRecord(): ReturnType<typeof decodeHard> {
    const record = this.disk.log.database.get(hardKey);
    return record === undefined ? undefined : decodeHard(record);
  }

  /** Dies, and comes back with the older image of its whole disk. */
  rollBack(): void {
    const { image } = this;
    if (image === null || image.member !== this.member) throw new Error(`${this.name} has no older image of its disk`);
    this.crash(`is killed; its disk is put back to where it ended at ${image.last.index} in term ${image.term}`);
    this.disk = image.disk.clone();
    this.image = null;
    this.stale = true;
    this.stateRotten = image.stateRotten;
  }

  /** What its disk says of another member, whatever its process may have learned since. */
  floorOf(member: NodeId): Floor | undefined {
    const { text } = this.disk.floors;
    const file = text === null ? null : (JSON.parse(text) as { readonly floors: Readonly<Record<string, Floor>> });
    return file?.floors[String(member)];
  }

  /** It was shut down through the cluster. */
  leave(): void {
    if (this.gone) return;
    this.crash("has left the cluster");
    this.member = null;
    this.gone = true;
  }

  /** Its disk may not be able to answer for its number, whether anybody has found out or not. */
  get mayBeLost(): boolean {
    return this.rotten === this.member || this.stale || this.stateRotten;
  }

  /** Changes the wall clock, as a time service would. */
  stepClock(ms: number): void {
    this.#clock.wallOffsetMs += ms;
  }

  #died(): void {
    const chance = this.#cluster.stream("crash effects");
    this.#cluster.addCrash(this.disk.crash(chance, this.#cluster.stream("crash effects on backups")));
    if (this.#device !== null) this.#cluster.addDisk(this.#device.counts);
    this.process = null;
    this.opened = null;
    this.running = null;
    this.floors = null;
    this.#device = null;
  }

  /** How its disk behaves now. */
  deviceFaults(): DeviceFaults {
    const { deviceFaults, calmDevice } = this.#cluster;
    return deviceFaults === calmDevice
      ? deviceFaults
      : {
          ...deviceFaults,
          times: this.#diskTimes,
          stallsUntil: this.#cluster.faultsEndAt,
          full: this.#cluster.world.now < this.fullUntil,
        };
  }

  /** A log that is not whole any more: the number is done for, the node comes back under a new one. */
  lost(verdict: OpenVerdict): void {
    this.#cluster.foundLost(this, verdict);
    this.retire(`finds its log ${verdict.v}${verdict.v === "lost" ? ` (${verdict.why})` : ""}`);
  }
}
