/** What is asked of the membership: transfers, drains, growth, leaving, and changes of many kinds, wrong ones among them. */
import { applyConfigChange } from "@aether/raft/config-change";
import type { Change, Membership } from "@aether/raft/types";
import { isQuorum } from "./checks/history.ts";
import type { Cluster } from "./cluster/cluster.ts";
import { clusterName } from "./cluster/names.ts";
import { insist, takeIn } from "./cluster/newcomers.ts";
import type { Running, SimNode } from "./cluster/node.ts";
import { isSettled } from "./cluster/soundness.ts";
import type { Stream } from "./world/stream.ts";

/** Nodes that a growing cluster may come to have, those that have left included. */
const nodesMax = 7;
type Leader = Running & { readonly node: SimNode };

/** A number that is nobody's. */
const nobody = 9_999;

export class MemberMischief {
  readonly counts = { transfers: 0, drains: 0, growths: 0, leaves: 0, joints: 0, changes: 0, refusedChanges: 0 };
  readonly #cluster: Cluster;
  readonly #asking = new Set<SimNode>();

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Some lives begin in the middle of a change. */
  begin(): void {
    const chance = this.#cluster.stream("faults/first change");
    if (!chance.chance(this.#cluster.plan.beginsWithChange)) return;
    if (chance.chance(0.5)) this.grow();
    else this.change();
  }

  comeBack(node: SimNode): void {
    if (this.#asking.has(node) || node.gone) return;
    this.#asking.add(node);
    takeIn(this.#cluster, node, () => this.#asking.delete(node));
  }

  transfer(): void {
    const chance = this.#cluster.stream("faults/transfer");
    const to = chance.pick(this.#cluster.nodes).member;
    const leader = this.#cluster.leader();
    if (leader === undefined || to === null) return;
    this.counts.transfers += 1;
    leader.driver.transfer(to, 1_000).catch(() => undefined);
  }

  /** Somebody wants a node off duty, or back on it; the rules may refuse. */
  drain(): void {
    const chance = this.#cluster.stream("faults/drain");
    const type = chance.chance(0.5) ? "DrainNode" : "UndrainNode";
    this.counts.drains += 1;
    this.#cluster.order({ type, id: chance.pick(this.#cluster.nodes).name });
  }

  /** One more node is wanted; it comes with an empty disk. */
  grow(): void {
    const { nodes } = this.#cluster;
    if (nodes.length >= nodesMax || nodes.some(({ member, gone }) => member === null && !gone)) return;
    this.counts.growths += 1;
    const node = this.#cluster.add();
    this.#cluster.world.tell(node.name, "is wanted");
    insist(this.#cluster, { type: "ScaleCluster", id: clusterName, size: nodes.length });
    this.comeBack(node);
  }

  /**
   * A node is to leave for good, with or without force, if sound disks are a quorum of those that stay. The rules may refuse; who has
   * been refused stays.
   */
  leave(): void {
    const chance = this.#cluster.stream("faults/leave");
    const [node, force] = [chance.pick(this.#cluster.nodes), chance.chance(0.5)];
    const staying = this.#cluster.nodes.filter(({ gone, member }) => !gone && member !== null);
    const leader = this.#cluster.leader();
    if (node.gone || leader === undefined || staying.length < 3 || !isSettled(this.#cluster)) return;
    const going = staying.filter((one) => one === node || one.leaving);
    const changes = going.map(({ member }) => ({ op: "remove", id: member as number }) as const);
    if (!this.#staysSound(leader.driver.status().membership, changes)) return;
    node.leaving = true;
    this.counts.leaves += 1;
    this.#cluster.world.tell(node.name, `is told to leave${force ? ", by force" : ""}`);
    this.#cluster.order({ type: "ShutDownNode", id: node.name, ...(force ? { force, reason: "simulated" } : {}) });
  }

  /**
   * Two voters become learners in one step, or one does while learners become voters: that takes a joint membership. What the
   * rows want is restored by the leader's keeper. Only while every disk is sound, for a few of them may then decide alone.
   */
  changeSeveral(): void {
    const { nodes, history, world } = this.#cluster;
    const leader = this.#cluster.leader();
    const sound = nodes.every((one) => one.gone || (one.member !== null && !one.mayBeLost));
    if (leader === undefined || !sound || history.newestChange > history.top) return;
    const chance = this.#cluster.stream("faults/joint");
    const { voters, learners } = leader.driver.status().membership;
    const some = voters.map((id) => ({ id, place: chance.next() })).toSorted((a, b) => a.place - b.place);
    const down = some.slice(0, learners.length === 0 ? 2 : 1).map(({ id }) => ({ op: "addLearner", id }) as const);
    const up = learners.map((id) => ({ op: "addVoter", id }) as const);
    if (voters.length < 3 || !this.#staysSound(leader.driver.status().membership, [...down, ...up])) return;
    this.counts.joints += 1;
    world.tell(leader.node.name, `is asked for ${[...down, ...up].map(({ op, id }) => `${op} ${id}`).join(", ")} at once`);
    leader.driver.change([...down, ...up], new Uint8Array(0), 5_000).catch(() => undefined);
    this.hurry(leader);
  }

  /**
   * Somebody changes the membership over the heads of the rows, several members at once among it; the keeper mends it. Some of it is
   * nonsense: numbers that nobody has, the same twice, what is so already. Voters stay such that sound disks are a quorum.
   */
  change(): void {
    const chance = this.#cluster.stream("faults/change");
    const leader = this.#cluster.leader();
    const changes = this.#draw(chance);
    const settled = this.#cluster.plan.changesInARow > 0 || isSettled(this.#cluster);
    if (leader === undefined || !settled) return;
    this.#ask(leader, changes);
    this.hurry(leader);
  }

  /**
   * A leader is asked for a change while others may be under way: it has to wait for them. Some are cut off before they know what
   * becomes of it. Only in a life that dwells on this, in which every disk stays sound.
   */
  hurry(leader: Leader): void {
    const { plan, world } = this.#cluster;
    const chance = this.#cluster.stream("faults/changes in a row");
    if (!chance.chance(plan.changesInARow)) return;
    this.#ask(leader, this.#draw(chance));
    if (!chance.chance(0.5)) return;
    world.after(chance.around(3 * plan.network.meanMs), null, "cut off", () => {
      if (world.now < this.#cluster.faultsEndAt) this.#cluster.cutOff(leader.node);
    });
  }

  #ask(leader: Leader, changes: readonly Change[]): void {
    if (!this.#staysSound(leader.driver.status().membership, changes)) return;
    this.counts.changes += 1;
    this.#cluster.world.tell(leader.node.name, `is asked to ${changes.map(({ op, id }) => `${op} ${id}`).join(", ")}`);
    leader.driver.change(changes, new Uint8Array(), 1_000).catch((error: Error) => {
      if (error.name === "ChangeRefused") this.counts.refusedChanges += 1;
      else this.#cluster.failed(error);
    });
  }

  /**
   * Would sound disks be a quorum of what comes after it? A lost number may be a voter still, and must not be left to decide alone; and
   * who was told to leave may be gone any time.
   */
  #staysSound(membership: Membership, changes: readonly Change[]): boolean {
    const after = applyConfigChange(membership, { changes, transition: "auto", leave: false, context: new Uint8Array() });
    const sound = this.#cluster.nodes
      .filter((one) => one.member !== null && !one.mayBeLost && !one.leaving)
      .map(({ member }) => member);
    return "reason" in after || isQuorum(after, (id) => sound.includes(id));
  }

  /** A number that a node has is not removed here: the keeper would want it back, and a removed number is never taken in again. */
  #draw(chance: Stream): Change[] {
    const members = this.#cluster.nodes.flatMap(({ member }) => (member === null ? [] : [member]));
    const given = Array.from({ length: Math.max(0, ...members) }, (_, i) => i + 1);
    const retired = [...given.filter((id) => !members.includes(id)), nobody];
    return Array.from({ length: 1 + chance.below(3) }, () => {
      const op = chance.pick(["addVoter", "addLearner", "addLearner", "remove"] as const);
      const known = chance.chance(0.9) || op === "addVoter";
      return { op, id: op === "remove" || members.length === 0 ? chance.pick(retired) : known ? chance.pick(members) : nobody };
    });
  }
}
