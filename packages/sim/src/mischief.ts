/** What happens to a cluster while it works: each kind of fault has its own stream, and comes and goes as the plan says. */
import type { Cluster } from "./cluster/cluster.ts";
import type { Running, SimNode } from "./cluster/node.ts";
import { DiskMischief } from "./mischief-disks.ts";
import { MemberMischief } from "./mischief-members.ts";
import type { Stream } from "./world/stream.ts";

const stepMs = 50;
export class Mischief {
  readonly #own = { crashes: 0, pauses: 0, partitions: 0, resets: 0, snapshotCrashes: 0, steps: 0 };
  readonly #disks: DiskMischief;
  readonly #members: MemberMischief;
  readonly #cluster: Cluster;
  #stopped = false;
  /** The leader that is cut off at the moment, in a life that dwells on this. */
  #isolated: SimNode | null = null;
  /** Who is cut off with each leader, in a life that dwells on that. */
  #companion: string | null = null;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#disks = new DiskMischief(cluster);
    this.#members = new MemberMischief(cluster);
  }

  get counts(): Readonly<Record<string, number>> {
    return { ...this.#own, ...this.#disks.counts, ...this.#members.counts };
  }

  start(): void {
    this.#cluster.network.faults = { ...this.#cluster.plan.network };
    this.#cluster.deviceFaults = this.#cluster.plan.device;
    for (const node of this.#cluster.nodes) this.#endanger(node);
    this.#members.begin();
    this.#cluster.onLeads = (node) => this.#atElection(node);
    this.#cluster.onReceived = (node, what) => {
      if (this.#stopped) return;
      if (what === "all") this.#dieOfReceiving(node);
      else this.#disks.rotReceived(node);
    };
    this.#step();
  }

  /** No new fault from now on; those in force stay. */
  stop(): void {
    this.#stopped = true;
    for (const node of this.#cluster.nodes) node.spare();
  }

  #step(): void {
    if (this.#stopped) return;
    const { plan, nodes, world } = this.#cluster;
    this.#own.steps += 1;
    for (const node of nodes) {
      if (this.#odds("crash", plan.crashesPerS)) this.#crash(node);
      if (this.#odds("restart", plan.restartsPerS)) this.#restart(node);
      if (this.#odds("pause", plan.pausesPerS)) this.#pause(node);
      if (this.#odds("rot", plan.rotPerS)) this.#disks.rot(node);
      if (this.#odds("old disk", plan.oldDisksPerS)) this.#disks.putBack(node);
      if (this.#odds("full disk", plan.fullDisksPerS)) this.#disks.fill(node);
      if (this.#odds("wall clock", plan.wallStepMs / 50_000)) {
        node.stepClock(this.#cluster.stream("wall clock").between(-1, 1) * plan.wallStepMs);
      }
    }
    if (this.#odds("partition", plan.partitionsPerS)) this.#partition();
    if (this.#odds("reset", plan.resetsPerS)) this.#reset();
    if (this.#odds("heal", plan.healsPerS)) this.#heal();
    if (this.#odds("transfer", plan.transfersPerS)) this.#members.transfer();
    if (this.#odds("growth", plan.growthsPerS)) this.#members.grow();
    if (this.#odds("drain", plan.drainsPerS)) this.#members.drain();
    if (this.#odds("joint", plan.jointsPerS)) this.#members.changeSeveral();
    if (this.#odds("leave", plan.leavesPerS)) this.#members.leave();
    if (this.#odds("change", plan.changesPerS)) this.#members.change();
    world.after(stepMs, null, "mischief", () => this.#step());
  }

  #odds(kind: string, perS: number): boolean {
    return this.#cluster.stream(`faults/${kind}`).chance((perS * stepMs) / 1000);
  }

  #crash(node: SimNode): void {
    if (node.process === null) return;
    if (this.#disks.wipes(node)) return;
    this.#own.crashes += 1;
    const at = this.#cluster.stream("faults/crash point");
    if (at.chance(0.6)) node.crashAtWrite(1 + at.below(8));
    else if (node.image === null || at.chance(0.2)) node.crashAndImage("is killed");
    else node.crash("is killed");
  }

  #restart(node: SimNode): void {
    const { member, process } = node;
    if (process !== null || node.gone) return;
    if (member === null) return this.#members.comeBack(node);
    node.start();
    this.#endanger(node);
  }

  /** Snapshots are seldom written: some processes die of it whenever they come to do so. */
  #endanger(node: SimNode): void {
    const chance = this.#cluster.stream("faults/snapshot crash");
    if (this.#cluster.plan.crashesPerS === 0 || !chance.chance(0.4)) return;
    node.crashAtSnapshot(1 + chance.below(16), () => (this.#own.snapshotCrashes += 1));
  }

  /** Some die while their log is begun anew with what they have received. */
  #dieOfReceiving(node: SimNode): void {
    const chance = this.#cluster.stream("faults/crash after a snapshot");
    if (this.#cluster.plan.crashesPerS === 0 || !chance.chance(0.15)) return;
    this.#own.snapshotCrashes += 1;
    node.crashAtWrite(1 + chance.below(4));
  }

  #pause(node: SimNode): void {
    const { process } = node;
    if (process === null || process.paused) return;
    const { plan, world } = this.#cluster;
    const electionMs = plan.tickMs * plan.electionTicks;
    const ms = electionMs * 0.1 * 200 ** this.#cluster.stream("faults/pause").next();
    this.#own.pauses += 1;
    world.tell(node.name, `is stopped for ${ms.toFixed(0)} ms`);
    process.paused = true;
    world.after(ms, null, "goes on", () => {
      // Afterwards who is still shall be so until all come back.
      if (!this.#stopped && process.alive && process.paused) world.resume(process);
    });
  }

  /** A leader that was cut off comes back to others who have gone on: some die while their log is made to fit. */
  #heal(): void {
    const { network, plan } = this.#cluster;
    network.heal();
    const node = this.#isolated;
    this.#isolated = null;
    const chance = this.#cluster.stream("faults/crash point");
    if (node === null || plan.crashesPerS === 0 || !chance.chance(0.5)) return;
    this.#own.crashes += 1;
    node.crashAtWrite(1 + chance.below(6));
  }

  /** Two that live are told of each other that nobody is there; mostly it is about the leader. */
  #reset(): void {
    const { network, nodes, world } = this.#cluster;
    const chance = this.#cluster.stream("faults/reset");
    const running = nodes.filter(({ running: one }) => one !== null);
    if (running.length < 2) return;
    const leader = running.find(({ name }) => name === this.#cluster.leader()?.node.name);
    const one = leader !== undefined && chance.chance(0.7) ? leader : chance.pick(running);
    const other = chance.pick(running.filter((node) => node !== one));
    const ms = chance.around(500);
    this.#own.resets += 1;
    world.tell("network", `${one.name} and ${other.name} are reset and refused each other for ${ms.toFixed(0)} ms`);
    network.reset((one.running as Running).endpoint, (other.running as Running).endpoint);
    world.after(ms, null, "mend", () => {
      if (!this.#stopped) network.mend(one.name, other.name);
    });
  }

  #atElection(node: SimNode): void {
    const { plan, world } = this.#cluster;
    if (plan.pairs > 0) this.#pairUp(node);
    if (plan.changesInARow === 0) return;
    const ms = this.#cluster.stream("faults/change at election").around(2 * plan.network.meanMs);
    world.after(ms, null, "change", () => {
      const leader = this.#cluster.leader();
      if (!this.#stopped && leader?.node === node) this.#members.hurry(leader);
    });
  }

  /** A new leader is cut off together with one that is the same all life long, while what it says first is under way. */
  #pairUp(leader: SimNode): void {
    const { network, world, plan } = this.#cluster;
    const chance = this.#cluster.stream("faults/pair");
    const side = this.#pairOf(leader.name);
    if (this.#stopped || !chance.chance(plan.pairs)) return;
    world.after(chance.around(2 * plan.network.meanMs), null, "pair", () => {
      if (this.#stopped) return;
      network.heal();
      this.#cutOff(side, { oneWay: false, bridge: "" });
      // Its log will be made to fit: now and then it dies of that.
      const companion = this.#cluster.nodes.find(({ name }) => name === side[1]);
      if (plan.crashesPerS === 0 || companion === undefined || !chance.chance(0.15)) return;
      this.#own.crashes += 1;
      companion.crashAtWrite(1 + chance.below(8));
    });
  }

  /** The leader, and who goes with every leader: one with a slow disk rather, whose writes outlast leaderships. */
  #pairOf(leader: string): string[] {
    const { nodes } = this.#cluster;
    const chance = this.#cluster.stream("faults/pair");
    const names = nodes.map(({ name }) => name);
    const slow = nodes.filter((node) => node.isSlow).map(({ name }) => name);
    this.#companion ??= chance.pick(slow.length > 0 && chance.chance(0.7) ? slow : names);
    return [leader, this.#companion === leader ? chance.pick(names.filter((name) => name !== leader)) : this.#companion];
  }

  #partition(): void {
    const { network, nodes, plan } = this.#cluster;
    const chance = this.#cluster.stream("faults/partition");
    network.heal();
    const names = nodes.map(({ name }) => name);
    const leader = this.#cluster.leader()?.node.name;
    const kind = chance.next();
    const dwells = chance.chance(0.7) ? plan.mood : "none";
    let side = names.filter(() => chance.chance(0.5));
    if (dwells === "elections") side = halfOf(names, chance);
    else if (dwells === "overwrites" && leader !== undefined) side = [leader];
    else if (dwells === "pairs" && leader !== undefined) side = this.#pairOf(leader);
    else if (kind < 0.3) side = [chance.pick(names)];
    else if (kind < 0.6 && leader !== undefined) side = [leader];
    const bridge = chance.chance(0.15) && dwells === "none" ? chance.pick(names) : "";
    const oneWay = chance.chance(0.5) && dwells === "none";
    this.#isolated = dwells === "overwrites" ? (nodes.find(({ name }) => name === side[0]) ?? null) : null;
    this.#cutOff(side, { oneWay, bridge });
  }

  #cutOff(side: readonly string[], { oneWay, bridge }: { readonly oneWay: boolean; readonly bridge: string }): void {
    const { network, nodes, world } = this.#cluster;
    for (const from of side) {
      for (const { name: to } of nodes) {
        if (side.includes(to) || from === bridge || to === bridge) continue;
        network.cut(from, to);
        if (!oneWay) network.cut(to, from);
      }
    }
    this.#own.partitions += 1;
    const joined = bridge === "" ? "" : `, ${bridge} sees both`;
    world.tell("network", `${side.join() || "nobody"} ${oneWay ? "is not heard by" : "is cut off from"} the others${joined}`);
  }
}

/** Half of the names, any half. */
const halfOf = (names: readonly string[], chance: Stream): string[] =>
  names
    .map((name) => ({ name, place: chance.next() }))
    .toSorted((a, b) => a.place - b.place)
    .slice(0, Math.floor(names.length / 2))
    .map(({ name }) => name);
