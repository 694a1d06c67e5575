/** What happens to a cluster while it works: each kind of fault has its own stream, and comes and goes as the plan says. */
import type { Cluster } from "./cluster/cluster.ts";
import { clusterName } from "./cluster/names.ts";
import { insist, takeIn } from "./cluster/newcomers.ts";
import type { Running, SimNode } from "./cluster/node.ts";
import type { Stream } from "./world/stream.ts";

const stepMs = 50;
/** Nodes that a growing cluster may come to have. */
const nodesMax = 7;

export class Mischief {
  readonly counts = {
    crashes: 0,
    wipes: 0,
    oldDisks: 0,
    pauses: 0,
    partitions: 0,
    rot: 0,
    transfers: 0,
    growths: 0,
    drains: 0,
    joints: 0,
    steps: 0,
  };
  readonly #cluster: Cluster;
  #stopped = false;
  /** The leader that is cut off at the moment, in a life that dwells on this. */
  #isolated: SimNode | null = null;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  start(): void {
    this.#cluster.network.faults = { ...this.#cluster.plan.network };
    this.#cluster.deviceFaults = this.#cluster.plan.device;
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
    this.counts.steps += 1;
    for (const node of nodes) {
      if (this.#odds("crash", plan.crashesPerS)) this.#crash(node);
      if (this.#odds("restart", plan.restartsPerS)) this.#restart(node);
      if (this.#odds("pause", plan.pausesPerS)) this.#pause(node);
      if (this.#odds("rot", plan.rotPerS)) this.#rot(node);
      if (this.#odds("wall clock", plan.wallStepMs / 50_000)) {
        node.stepClock(this.#cluster.stream("wall clock").between(-1, 1) * plan.wallStepMs);
      }
    }
    if (this.#odds("partition", plan.partitionsPerS)) this.#partition();
    if (this.#odds("heal", plan.healsPerS)) this.#heal();
    if (this.#odds("transfer", plan.transfersPerS)) this.#transfer();
    if (this.#odds("growth", plan.growthsPerS)) this.#grow();
    if (this.#odds("drain", plan.drainsPerS)) this.#drain();
    if (this.#odds("joint", plan.jointsPerS)) this.#changeSeveral();
    world.after(stepMs, null, "mischief", () => this.#step());
  }

  #odds(kind: string, perS: number): boolean {
    return this.#cluster.stream(`faults/${kind}`).chance((perS * stepMs) / 1000);
  }

  #crash(node: SimNode): void {
    if (node.process === null) return;
    const chance = this.#cluster.stream("faults/wipe");
    if (chance.chance(this.#cluster.plan.wipes) && this.#sparesAll(node)) {
      this.counts.wipes += 1;
      const { member } = node;
      node.wipe("is wiped");
      if (member !== null && this.#cluster.plan.defect === "wipedKeepsNumber") {
        node.format(member, null, node.seats).catch((error: unknown) => this.#cluster.failed(error));
      }
      return;
    }
    if (this.#putsBack(node)) return;
    this.counts.crashes += 1;
    const at = this.#cluster.stream("faults/crash point");
    if (at.chance(0.6)) node.crashAtWrite(1 + at.below(8));
    else if (node.image === null || at.chance(0.2)) node.crashAndImage("is killed");
    else node.crash("is killed");
  }

  /** The machine comes back with an older image of its disk, where somebody is sure to know that it held more. */
  #putsBack(node: SimNode): boolean {
    const { image } = node;
    const drawn = this.#cluster.stream("faults/old disk").chance(this.#cluster.plan.oldDisks);
    if (!drawn || image === null || image.member !== node.member) return false;
    if (!this.#sparesAll(node) || !this.#cluster.wouldFindOut(image)) return false;
    this.counts.oldDisks += 1;
    node.rollBack();
    return true;
  }

  #restart(node: SimNode): void {
    const { member, process } = node;
    if (process !== null || node.gone) return;
    if (member === null) return this.#comeBack(node);
    node.start();
  }

  readonly #asking = new Set<SimNode>();

  #comeBack(node: SimNode): void {
    if (this.#asking.has(node) || node.gone) return;
    this.#asking.add(node);
    takeIn(this.#cluster, node, () => this.#asking.delete(node));
  }

  /**
   * A disk may be lost when every membership keeps a quorum of sound ones. To know them all, everybody must be running and
   * no change under way; and a learner is spared, for it may be promoted before anybody knows.
   */
  #sparesAll(node: SimNode): boolean {
    const { nodes, history } = this.#cluster;
    const hidden = ({ opened, running }: SimNode): boolean => opened === null || (running !== null && hasUnwritten(running));
    // While an old image is not found out, those who know of it must stay as they are.
    const blind = nodes.some((one) => one.stale || (one.member !== null && hidden(one)));
    if (blind || history.newestChange > history.top) return false;
    const votes = this.#cluster.memberships().every(({ voters }) => node.member !== null && voters.includes(node.member));
    return votes && this.#cluster.sparesQuorum(new Set([node]));
  }

  #pause(node: SimNode): void {
    const { process } = node;
    if (process === null || process.paused) return;
    const { plan, world } = this.#cluster;
    const electionMs = plan.tickMs * plan.electionTicks;
    const ms = electionMs * 0.1 * 200 ** this.#cluster.stream("faults/pause").next();
    this.counts.pauses += 1;
    world.tell(node.name, `is stopped for ${ms.toFixed(0)} ms`);
    process.paused = true;
    world.after(ms, null, "goes on", () => {
      if (process.alive && process.paused) world.resume(process);
    });
  }

  #rot(node: SimNode): void {
    if (node.member === null || !this.#sparesAll(node)) return;
    const chance = this.#cluster.stream("faults/rot");
    const { database } = node.disk.log;
    const blocks = [...database.values.keys()].filter((key) => key.startsWith("\u0001"));
    if (blocks.length === 0) return;
    const key = chance.pick(blocks.toSorted());
    const value = database.values.get(key) as Uint8Array;
    database.rot(key, chance.below(value.length * 8));
    node.rotten = node.member;
    this.counts.rot += 1;
    this.#cluster.world.tell(node.name, `a bit of its log rots`);
  }

  /** A leader that was cut off comes back to others who have gone on: some die while their log is made to fit. */
  #heal(): void {
    const { network, plan } = this.#cluster;
    network.heal();
    const node = this.#isolated;
    this.#isolated = null;
    const chance = this.#cluster.stream("faults/crash point");
    if (node === null || plan.crashesPerS === 0 || !chance.chance(0.5)) return;
    this.counts.crashes += 1;
    node.crashAtWrite(1 + chance.below(6));
  }

  #partition(): void {
    const { network, nodes, world, plan } = this.#cluster;
    const chance = this.#cluster.stream("faults/partition");
    network.heal();
    const names = nodes.map(({ name }) => name);
    const leader = this.#cluster.leader()?.node.name;
    const kind = chance.next();
    const dwells = chance.chance(0.7) ? plan.mood : "none";
    let side = names.filter(() => chance.chance(0.5));
    if (dwells === "elections") side = halfOf(names, chance);
    else if (dwells === "overwrites" && leader !== undefined) side = [leader];
    else if (kind < 0.3) side = [chance.pick(names)];
    else if (kind < 0.6 && leader !== undefined) side = [leader];
    const bridge = chance.chance(0.15) && dwells === "none" ? chance.pick(names) : "";
    const oneWay = chance.chance(0.5) && dwells === "none";
    this.#isolated = dwells === "overwrites" ? (nodes.find(({ name }) => name === side[0]) ?? null) : null;
    for (const from of side) {
      for (const to of names) {
        if (side.includes(to) || from === bridge || to === bridge) continue;
        network.cut(from, to);
        if (!oneWay) network.cut(to, from);
      }
    }
    this.counts.partitions += 1;
    const joined = bridge === "" ? "" : `, ${bridge} sees both`;
    world.tell("network", `${side.join() || "nobody"} ${oneWay ? "is not heard by" : "is cut off from"} the others${joined}`);
  }

  #transfer(): void {
    const chance = this.#cluster.stream("faults/transfer");
    const to = chance.pick(this.#cluster.nodes).member;
    const leader = this.#cluster.leader();
    if (leader === undefined || to === null) return;
    this.counts.transfers += 1;
    leader.driver.transfer(to, 1_000).catch(() => undefined);
  }

  /** Somebody wants a node off duty, or back on it; the rules may refuse. */
  #drain(): void {
    const chance = this.#cluster.stream("faults/drain");
    const type = chance.chance(0.5) ? "DrainNode" : "UndrainNode";
    this.counts.drains += 1;
    this.#cluster.order({ type, id: chance.pick(this.#cluster.nodes).name });
  }

  /**
   * Two voters become learners in one step, or one does while learners become voters: that takes a joint membership. What the
   * rows want is restored by the leader's keeper. Only while every disk is sound, for a few of them may then decide alone.
   */
  #changeSeveral(): void {
    const { nodes, history, world } = this.#cluster;
    const leader = this.#cluster.leader();
    const sound = nodes.every(({ member, rotten, stale, gone }) => member !== null && rotten !== member && !stale && !gone);
    if (leader === undefined || !sound || history.newestChange > history.top) return;
    const chance = this.#cluster.stream("faults/joint");
    const { voters, learners } = leader.driver.status().membership;
    const some = voters.map((id) => ({ id, place: chance.next() })).toSorted((a, b) => a.place - b.place);
    const down = some.slice(0, learners.length === 0 ? 2 : 1).map(({ id }) => ({ op: "addLearner", id }) as const);
    const up = learners.map((id) => ({ op: "addVoter", id }) as const);
    if (voters.length < 3) return;
    this.counts.joints += 1;
    world.tell(leader.node.name, `is asked for ${[...down, ...up].map(({ op, id }) => `${op} ${id}`).join(", ")} at once`);
    leader.driver.change([...down, ...up], new Uint8Array(0), 5_000).catch(() => undefined);
  }

  /** One more node is wanted; it comes with an empty disk. */
  #grow(): void {
    const { nodes } = this.#cluster;
    if (nodes.length >= nodesMax || nodes.some(({ member }) => member === null)) return;
    this.counts.growths += 1;
    const node = this.#cluster.add();
    this.#cluster.world.tell(node.name, "is wanted");
    insist(this.#cluster, { type: "ScaleCluster", id: clusterName, size: nodes.length });
    this.#comeBack(node);
  }
}

/** Half of the names, any half. */
const halfOf = (names: readonly string[], chance: Stream): string[] =>
  names
    .map((name) => ({ name, place: chance.next() }))
    .toSorted((a, b) => a.place - b.place)
    .slice(0, Math.floor(names.length / 2))
    .map(({ name }) => name);

const hasUnwritten = ({ driver, storage }: Running): boolean => driver.status().last.index > storage.view.last().index;
