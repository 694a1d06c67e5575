/**
 * The worst day: of one member's disk an image is taken when the faults are at their end, as a crash would leave it, and all other
 * disks are taken for gone. The life goes on; at its end the image is recovered as `aether cluster recover` does it, and judged by the
 * life's own record (checks/recovered.ts). Once in a while the recovery is killed at a write, and begun again from the image.
 */
import type { SnapshotStore } from "@aether/raft/types";
import { openEventStoreOn, type StateFolders } from "@aether/store/events/open";
import { decodeHard, hardKey } from "@aether/store/log/keys";
import { type LogPorts, startLog } from "@aether/store/log/start";
import { recoverDisk, type CopiedDisk, type Recovered, type RecoverWish, type Unusable } from "@aether/store/recover/recover";
import { openSnapshotsOn } from "@aether/store/snapshots";
import { checkRecovered, checkUnusable, type LeftDisk } from "../checks/recovered.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { clusterId } from "../cluster/names.ts";
import { Device } from "../disk/device.ts";
import type { Disk } from "../disk/disk.ts";
import { makeProcessClock } from "../world/process-clock.ts";
import { Process } from "../world/world.ts";

/** The cluster that goes on from the disk. */
export const recoveredId = "52".repeat(16);
/** What a recovery runs in. */
interface Work {
  readonly process: Process;
  readonly device: Device;
  readonly clock: ReturnType<typeof makeProcessClock>;
  readonly state: StateFolders;
  readonly ports: () => LogPorts;
  readonly openSnapshots: () => Promise<SnapshotStore>;
  readonly recover: () => Promise<Recovered | Unusable>;
}

const actor = { name: "operator", role: "operator" } as const;
const stateDir = "sim/recovered";

export class LastDisk {
  /** The recovery has come to its end, and was found right. */
  done = false;
  readonly #cluster: Cluster;
  readonly #image: Disk;
  readonly #left: LeftDisk;

  /** An image of some member's disk; null when this life is not one that ends so, or nobody has a disk that says anything. */
  static take(cluster: Cluster): LastDisk | null {
    const chance = cluster.stream("last disk");
    if (!chance.chance(cluster.plan.recovers)) return null;
    const node = chance.pick(cluster.nodes);
    const { member, disk, name, stateRotten } = node;
    if (member === null) return null;
    const image = disk.clone();
    image.crash(chance, cluster.stream("crash effects on backups"));
    const bytes = image.log.database.get(hardKey);
    const record = bytes === undefined ? undefined : decodeHard(bytes);
    if (record === undefined) return null;
    const rotten = stateRotten || node.rotten === member;
    return new LastDisk(cluster, image, { name, member, last: record.last, commit: record.hard.commit, rotten });
  }

  private constructor(cluster: Cluster, image: Disk, left: LeftDisk) {
    this.#cluster = cluster;
    this.#image = image;
    this.#left = left;
  }

  /** What the life waits for is {@link done}; a violation ends it. */
  recover(): void {
    const { world } = this.#cluster;
    const { name, member, last } = this.#left;
    world.tell("world", `all disks are lost but ${name}'s (${member}), which ends at ${last.index}/${last.term}`);
    const chance = this.#cluster.stream("last disk");
    if (!chance.chance(0.3)) return this.#attempt();
    const cut = this.#work(this.#image.clone());
    cut.process.onDeath(() => this.#attempt());
    cut.device.arm(1 + chance.below(30), () => cut.process.die());
    // One that needs fewer writes ends first; then nothing was cut off, and it is done once more.
    void cut.recover().then(() => cut.process.die(), this.#failed);
  }

  #attempt(): void {
    const work = this.#work(this.#image.clone());
    const judge = async (): Promise<void> => {
      const outcome = await work.recover();
      if ("unusable" in outcome) checkUnusable(this.#cluster, this.#left, outcome);
      else await this.#judge(work, outcome);
      work.process.die();
      this.done = true;
    };
    judge().catch(this.#failed);
  }

  readonly #failed = (error: unknown): void => this.#cluster.failed(error);

  /** A process on a copy of the image, with the product's recovery to run in it. */
  #work(disk: Disk): Work {
    const { world, calmDevice } = this.#cluster;
    const chance = this.#cluster.stream("last disk");
    const process = new Process("recovery");
    const device = new Device(world, process, () => calmDevice, chance);
    const clock = makeProcessClock(world, process, { rate: 1, wallOffsetMs: 0 });
    const state: StateFolders = {
      open: () => Promise.resolve(disk.state.open(device)),
      setAside: () => Promise.resolve(disk.state.setAside()),
    };
    const ports = () => disk.log.ports(device);
    const openSnapshots = () => openSnapshotsOn(disk.snapshots.open(device, chance));
    const recover = async (): Promise<Recovered | Unusable> => {
      const openLog = () => Promise.resolve({ ...ports(), torn: disk.log.database.torn });
      const copied: CopiedDisk = { openLog, state, stateDir, snapshots: await openSnapshots() };
      const from = { clusterId, nodeId: this.#left.member };
      const wish: RecoverWish = { from, clusterId: recoveredId, address: null, actor, now: clock.wall() };
      return recoverDisk(copied, wish, this.#cluster.rules, { store: clock, log: { clock } });
    };
    return { process, device, clock, state, ports, openSnapshots, recover };
  }

  /** The recovered disk is opened as a daemon opens it. */
  async #judge({ clock, state, ports, openSnapshots }: Work, made: Recovered): Promise<void> {
    const { verdict, storage } = await startLog(ports(), { clusterId: recoveredId, nodeId: made.member.id }, { clock });
    if (storage === undefined) throw new Error(`a recovered log is ${JSON.stringify(verdict)}`);
    const options = {
      dir: stateDir,
      now: () => clock.wall(),
      drawBits: () => "0".repeat(32),
      flushMs: 100,
      flushRows: 50,
      keepEntries: 10,
      snapshotEveryEntries: 1_000_000,
      maxInFlight: 10,
      timing: clock,
      onFatal: (error: Error): never => {
        throw error;
      },
    };
    const store = await openEventStoreOn(state, options, this.#cluster.rules, storage.view, await openSnapshots());
    checkRecovered(this.#cluster, this.#left, made, { log: storage.view, store });
    await store.close();
    await storage.close();
  }
}
