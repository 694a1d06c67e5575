/** What happens to disks: they are lost, put back to what they held before, rot, and fill up. */
import type { Cluster } from "./cluster/cluster.ts";
import { spares } from "./cluster/soundness.ts";
import type { SimNode } from "./cluster/node.ts";

export class DiskMischief {
  readonly counts = { wipes: 0, oldDisks: 0, rot: 0, rottenRows: 0, rottenSnapshots: 0, misdirected: 0, fullDisks: 0 };
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** True when the node has lost its disk, and died of it. */
  wipes(node: SimNode): boolean {
    const { plan } = this.#cluster;
    if (!this.#cluster.stream("faults/wipe").chance(plan.wipes) || !spares(this.#cluster, node)) return false;
    this.counts.wipes += 1;
    const { member } = node;
    node.wipe("is wiped");
    if (member !== null && plan.defect === "wipedKeepsNumber") {
      node.format(member, null, node.seats).catch((error: unknown) => this.#cluster.failed(error));
    }
    return true;
  }

  /** The machine comes back with an older image of its disk, where somebody is sure to know that it held more; it may find nobody. */
  putBack(node: SimNode): void {
    const { image, process } = node;
    if (process === null || image === null || image.member !== node.member) return;
    if (!spares(this.#cluster, node) || !this.#cluster.wouldFindOut(image)) return;
    this.counts.oldDisks += 1;
    node.rollBack();
    if (this.#cluster.stream("faults/old disk alone").chance(this.#cluster.plan.oldDisksAlone)) this.#cluster.cutOff(node);
  }

  /** One bit of what is stored changes, of the log, the rows or a snapshot; or a block lies where another belongs. */
  rot(node: SimNode): void {
    if (node.member === null || !spares(this.#cluster, node)) return;
    const chance = this.#cluster.stream("faults/rot");
    const { world } = this.#cluster;
    if (chance.chance(0.4) && node.disk.snapshots.rot(".snap", chance)) {
      node.stateRotten = true;
      this.counts.rottenSnapshots += 1;
      world.tell(node.name, "one of its snapshots rots");
      return;
    }
    const rows = chance.chance(0.4);
    const database = rows ? node.disk.state.database : node.disk.log.database;
    const keys = [...database.values.keys()].filter((key) => rows || key.startsWith("\u0001")).toSorted();
    if (keys.length === 0) return;
    const key = chance.pick(keys);
    if (chance.chance(0.25) && keys.length > 1) {
      const other = chance.pick(keys.filter((one) => one !== key));
      database.misdirect(other, key, chance.chance(0.5));
      this.counts.misdirected += 1;
    } else {
      const value = database.values.get(key) as Uint8Array;
      database.rot(key, chance.below(value.length * 8));
    }
    if (rows) node.stateRotten = true;
    else node.rotten = node.member;
    this.counts[rows ? "rottenRows" : "rot"] += 1;
    world.tell(node.name, `something of its ${rows ? "rows" : "log"} rots`);
  }

  /** One bit of a snapshot that is being received changes on the disk: nobody has counted on it yet, so any node's may. */
  rotReceived(node: SimNode): void {
    const { plan, world } = this.#cluster;
    const chance = this.#cluster.stream("faults/rot of what is received");
    if (!chance.chance(plan.rotReceived) || !node.disk.snapshots.rot(".part", chance)) return;
    this.counts.rottenSnapshots += 1;
    world.tell(node.name, "what it receives of a snapshot rots");
  }

  /** No room on the disk, until space is made: for one write, or for seconds. */
  fill(node: SimNode): void {
    if (node.member === null) return;
    const { world } = this.#cluster;
    const ms = 3 * 1_000 ** this.#cluster.stream("faults/full disk").next();
    this.counts.fullDisks += 1;
    world.tell(node.name, `has a full disk for ${ms.toFixed(0)} ms`);
    node.fullUntil = world.now + ms;
  }
}
