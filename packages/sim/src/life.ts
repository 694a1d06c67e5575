/**
 * One life of a cluster, drawn from a seed. First everything that may go wrong goes wrong while clients work (safety).
 * Then the faults end for a part of the nodes that holds a quorum, the others freeze, and that part must work again within
 * a bounded time (liveness). Then all come back, must agree, and the clients' histories are judged.
 */
import type { NodeRow } from "@aether/core/node/state";
import type { NodeId } from "@aether/raft/types";
import { firstEntry } from "@aether/store/log/start";
import { rowsOf } from "./checks/restores.ts";
import { hold, Violation } from "./checks/violation.ts";
import { closed, describe, operationsOf } from "./checks/judgement.ts";
import { checkLinearizable } from "./checks/linearizability.ts";
import { checkPast } from "./checks/reading-back.ts";
import { checkStanding } from "./checks/standing.ts";
import { Watcher } from "./checks/watching.ts";
import { Cluster } from "./cluster/cluster.ts";
import { initialise, insist, takeIn } from "./cluster/newcomers.ts";
import { addressOf, clusterId } from "./cluster/names.ts";
import { stateOf } from "./cluster/state-text.ts";
import type { SimNode } from "./cluster/node.ts";
import { Client } from "./load/client.ts";
import { Backups } from "./load/backups.ts";
import { Restorer } from "./load/restorer.ts";
import { Mischief } from "./mischief.ts";
import { calm } from "./net/network.ts";
import { LastDisk } from "./recovering/last-disk.ts";
import { every } from "./world/every.ts";
import { drawPlan, type LifeOptions, type Plan } from "./plan.ts";

/** Virtual time that the parts of a life may take, in milliseconds. */
const limits = { form: 60_000, reopen: 30_000, elect: 60_000, converge: 180_000, drain: 30_000, answer: 10_000 };
const watchers = 2;
/** Between two looks at what has to be so at any moment. */
const lookMs = 25;

export interface LifeReport {
  readonly seed: number;
  readonly plan: Plan;
  /** Null: nothing was wrong. */
  readonly violation: { readonly rule: string; readonly message: string } | null;
  readonly virtualMs: number;
  readonly steps: number;
  /** Equal for equal runs. */
  readonly trace: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly timeline: readonly string[];
}

export async function live(options: LifeOptions): Promise<LifeReport> {
  const life = new Life(drawPlan(options));
  let violation: LifeReport["violation"] = null;
  try {
    await life.run();
  } catch (error) {
    const { message, stack } = error as Error;
    const known = error instanceof Violation;
    violation = { rule: known ? error.rule : "the simulator itself", message: known ? message : (stack ?? message) };
    life.cluster.world.tell("VIOLATION", message.split("\n", 1)[0] ?? "");
  } finally {
    life.end();
  }
  const { world } = life.cluster;
  const { now: virtualMs, steps, trace, lines: timeline } = world;
  return { seed: options.seed, plan: life.cluster.plan, violation, virtualMs, steps, trace, counts: life.counts(), timeline };
}

class Life {
  readonly cluster: Cluster;
  readonly #mischief: Mischief;
  readonly #clients: Client[] = [];
  readonly #restorers: Restorer[] = [];
  readonly #backups: Backups;
  readonly #watchers: Watcher[] = [];
  #readmitting = new Set<SimNode>();

  constructor(plan: Plan) {
    this.cluster = new Cluster(plan);
    this.#mischief = new Mischief(this.cluster);
    this.#backups = new Backups(this.cluster);
  }

  async run(): Promise<void> {
    const { plan, world } = this.cluster;
    await this.#form();
    for (let i = 1; i <= plan.clients; i++) this.#clients.push(new Client(this.cluster, i));
    for (let i = 1; i <= plan.restorers; i++) this.#restorers.push(new Restorer(this.cluster, i, this.#backups));
    for (const load of [...this.#clients, ...this.#restorers]) load.start();
    this.#backups.start();
    this.#follow();
    this.#watch();
    const until = world.now + plan.forMs;
    this.cluster.faultsEndAt = until;
    this.#mischief.start();
    await this.#pass(until, () => world.now >= until);
    this.#mischief.stop();
    const left = LastDisk.take(this.cluster);
    await this.#recoverCore();
    await this.#agree();
    await this.#readBack();
    await this.#readBackups();
    this.#judge();
    if (left === null) return;
    left.recover();
    const done = (): boolean => left.done;
    await this.#must("a disk that is left is gone on with", limits.drain, done, () => stateOf(this.cluster.nodes));
  }

  /** Every process ends, so that nothing of this life runs into the next. */
  end(): void {
    for (const { process } of this.cluster.nodes) process?.die();
  }

  counts(): Record<string, number> {
    const { history, network, counts } = this.cluster;
    const sum = (of: Iterable<Readonly<Record<string, number>>>): Record<string, number> => {
      const total: Record<string, number> = {};
      for (const one of of) for (const [name, value] of Object.entries(one)) total[name] = (total[name] ?? 0) + value;
      return total;
    };
    const clients = sum(this.#clients.map((client) => client.counts));
    const restorers = sum(this.#restorers.map((restorer) => restorer.counts));
    const watched = sum(this.#watchers.map((watcher) => watcher.counts));
    const named = (prefix: string, of: Readonly<Record<string, number>>): [string, number][] =>
      Object.entries(of).map(([name, value]) => [`${prefix}.${name}`, value]);
    return Object.fromEntries([
      ...named("history", { ...history.counts, ...history.restores.counts, top: history.top }),
      ...named("faults", this.#mischief.counts),
      ...named("network", network.counts),
      ...named("disk", counts),
      ...named("clients", clients),
      ...named("restorers", restorers),
      ...named("backups", this.#backups.counts),
      ...named("watch", watched),
    ]);
  }

  /** Virtual time passes until `met`; a violation ends it. False when the deadline came first. */
  async #pass(deadline: number, met: () => boolean): Promise<boolean> {
    const { cluster } = this;
    return cluster.world.run(deadline, met, () => {
      if (cluster.violation !== null) throw cluster.violation;
    });
  }

  async #must(rule: string, limitMs: number, met: () => boolean, state: () => string): Promise<void> {
    if (await this.#pass(this.cluster.world.now + limitMs, met)) return;
    throw new Violation(rule, `not within ${limitMs} ms: ${state()}`);
  }

  async #form(): Promise<void> {
    const { cluster } = this;
    const { plan } = cluster;
    const ids = Array.from({ length: plan.members }, (_, i): NodeId => i + 1);
    const seats = ids.map((member) => ({ name: `n${member}`, member, address: addressOf(`n${member}`) }));
    let formatted = 0;
    for (const id of ids) {
      cluster
        .add()
        .format(id, ids, seats)
        .then(
          () => {
            cluster.history.holds(id, firstEntry(ids), 0);
            formatted += 1;
          },
          (error: unknown) => cluster.failed(error),
        );
    }
    await this.#must(
      "formatting ends",
      limits.form,
      () => formatted === ids.length,
      () => `${formatted} of ${ids.length}`,
    );
    for (const node of cluster.nodes) node.start();
    let formed = false;
    initialise(cluster, clusterId, () => (formed = true));
    await this.#must(
      "a cluster forms",
      limits.form,
      () => formed,
      () => stateOf(this.cluster.nodes),
    );
  }

  /** Watchers read on wherever a member runs. */
  #follow(): void {
    const { cluster } = this;
    const chance = cluster.stream("watchers");
    for (let i = 0; i < watchers; i++)
      this.#watchers.push(new Watcher(cluster.world, cluster.history, cluster.stream(`watch/${i}`)));
    const look = (): void => {
      for (const watcher of this.#watchers) {
        const { process, running } = chance.pick(cluster.nodes);
        const moves = !watcher.attached || chance.chance(0.05);
        if (moves && running !== null && process?.paused === false) watcher.attach(running.store, process);
      }
      cluster.world.after(100, null, "watchers", look);
    };
    look();
  }

  #watch(): void {
    const { cluster } = this;
    cluster.observe(() => checkStanding(cluster));
    cluster.observe(() => cluster.checkOwed());
    cluster.world.after(lookMs, null, "looks", () => this.#watch());
  }

  /** A part of the nodes that holds a quorum is healed, all others stop; that part has to commit. */
  async #recoverCore(): Promise<void> {
    const { cluster } = this;
    const { nodes, world, network, plan } = cluster;
    // First every node that has a number opens its disk, still cut off, so that it is known who votes.
    for (const one of nodes) for (const other of nodes) network.cut(one.name, other.name);
    cluster.deviceFaults = cluster.calmDevice;
    for (const node of nodes) {
      if (node.process?.paused === true) world.resume(node.process);
      if (node.process === null && node.member !== null) node.start();
    }
    const opened = (): boolean => {
      this.#restart(nodes);
      return nodes.every((node) => node.member === null || node.opened !== null);
    };
    await this.#must("every sound disk opens", limits.reopen, opened, () => stateOf(this.cluster.nodes));
    const chance = cluster.stream("core");
    const frozen = new Set<SimNode>();
    const shuffled = nodes.map((node) => ({ node, place: chance.next() })).toSorted((a, b) => a.place - b.place);
    for (const { node } of shuffled) {
      if (chance.chance(0.8) && cluster.sparesQuorum(new Set([...frozen, node]))) frozen.add(node);
    }
    let core = nodes.filter((node) => !frozen.has(node));
    world.tell("world", `heals ${core.map(({ name }) => name).join()}; the others are still`);
    network.heal();
    network.faults = { ...calm };
    for (const one of core) {
      for (const other of frozen) {
        network.cut(one.name, other.name);
        network.cut(other.name, one.name);
      }
    }
    for (const { process } of frozen) if (process !== null) process.paused = true;
    const thaw = (): void => {
      for (const { process } of frozen) if (process !== null) world.resume(process);
      network.heal();
      frozen.clear();
      core = nodes;
    };
    // A change that was under way, or that the leader makes by itself, may ask for those who are still: then they come back too.
    const needsAll = every(200, world, () => frozen.size > 0 && !cluster.sparesQuorum(frozen));
    let committed = false;
    const probe = { type: "SetSetting", id: "probe", value: plan.seed };
    insist(cluster, probe, () => (committed = true));
    await this.#must(
      "a healed quorum works again",
      limits.elect,
      () => {
        if (needsAll()) {
          world.tell("world", "the membership has changed: all come back");
          thaw();
        }
        this.#restart(core);
        return committed;
      },
      () => stateOf(this.cluster.nodes),
    );
    world.tell("world", "the healed part has committed");
    thaw();
  }

  /** All come back, are taken in where they lost their number, and show the same world. */
  async #agree(): Promise<void> {
    const { cluster } = this;
    const { nodes } = cluster;
    this.#recall();
    const met = (): boolean => {
      for (const node of nodes) this.#readmit(node);
      return this.#settled();
    };
    await this.#must("all members converge", limits.converge, met, () => stateOf(this.cluster.nodes));
    const loads = [...this.#clients, ...this.#restorers];
    for (const load of loads) load.resting = true;
    await this.#must(
      "clients come to an end",
      limits.drain,
      () => loads.every(({ busy }) => !busy),
      () => stateOf(this.cluster.nodes),
    );
    await this.#must(
      "all members agree",
      limits.drain,
      () => {
        // Rot may be found out any time, and the process ends of it.
        for (const node of nodes) this.#readmit(node);
        return this.#equal();
      },
      () => stateOf(this.cluster.nodes),
    );
    const { top } = cluster.history;
    const behind = (): string => this.#watchers.map(({ next }) => next).join();
    await this.#must("watchers come to the end", limits.drain, () => this.#watchers.every(({ next }) => next > top), behind);
  }

  /** Nodes that were drained are put back on duty: from off duty nobody rejoins. */
  #recall(): void {
    const { cluster } = this;
    for (const { id, row } of cluster.leader()?.store.world.all<NodeRow>("node") ?? []) {
      if (row.duty === "draining" || row.duty === "decommissioned") cluster.order({ type: "UndrainNode", id });
    }
    cluster.world.after(500, null, "recall", () => this.#recall());
  }

  /** A write that failed before the faults ended may end its process only now, at the next one: it is started again as ever. */
  #restart(nodes: readonly SimNode[]): void {
    for (const node of nodes) if (node.process === null && node.member !== null && !node.gone) node.start();
  }

  #readmit(node: SimNode): void {
    if (node.process !== null || node.gone || this.#readmitting.has(node)) return;
    if (node.member !== null) return node.start();
    this.#readmitting.add(node);
    takeIn(this.cluster, node, () => this.#readmitting.delete(node));
  }

  /** Everybody runs, votes, and nobody else does. */
  #settled(): boolean {
    const leader = this.cluster.leader();
    if (leader === undefined) return false;
    const { voters, outgoing, learners } = leader.store.membership;
    const staying = this.cluster.nodes.filter(({ gone }) => !gone);
    const ids = staying.map(({ member, running }) => (running === null ? 0 : (member ?? 0)));
    if (outgoing.length > 0 || learners.length > 0 || voters.length !== ids.length) return false;
    return ids.every((id) => voters.includes(id));
  }

  #equal(): boolean {
    const tops = this.cluster.nodes.filter(({ gone }) => !gone).map(({ running }) => running?.store.applied ?? 0);
    if (tops.some((top) => top !== this.cluster.history.top)) return false;
    const { history } = this.cluster;
    const rows = rowsOf(history.restores.world);
    for (const { member, running } of this.cluster.nodes) {
      if (running === null || member === null) continue;
      const { store } = running;
      history.digest(member, store.applied, store.stateDigest().digest);
      const differs = (): string => `member ${member} at ${store.applied}`;
      hold(store.applied !== history.top || rowsOf(store.world) === rows, "rows are what the log makes of them", differs);
    }
    return true;
  }

  /** Nobody is left waiting, and all members tell the same past. */
  async #readBack(): Promise<void> {
    const { cluster } = this;
    const overdue = cluster.overdue(limits.answer);
    if (overdue.length > 0) throw new Violation("every submission is answered", overdue.join("; "));
    let read = 0;
    // One whose rows rotted may have ended since all agreed.
    const telling = cluster.nodes.filter(({ gone, running }) => !gone && running !== null);
    for (const node of telling) {
      const { member, running, rotten, stateRotten } = node;
      if (running === null || member === null) continue;
      checkPast(cluster.history, member, running.store, running.storage.view)
        .catch((error: Error) => {
          // Rot that lay unseen is found by reading it, and that is right; rows that rotted end the process.
          const found = (rotten === member && error.name === "LogDamaged") || (stateRotten && node.running !== running);
          if (!found) cluster.failed(error);
        })
        .finally(() => (read += 1));
    }
    const all = (): boolean => read === telling.length;
    await this.#must("all members tell their past", limits.drain, all, () => stateOf(this.cluster.nodes));
  }

  async #readBackups(): Promise<void> {
    const { cluster } = this;
    let read = false;
    const here = cluster.nodes.filter(({ gone, process }) => !gone && process !== null);
    this.#backups.check(here).then(
      () => (read = true),
      (error: unknown) => cluster.failed(error),
    );
    await this.#must(
      "backups are read to their end",
      limits.drain,
      () => read,
      () => stateOf(this.cluster.nodes),
    );
  }

  #judge(): void {
    const { history } = this.cluster;
    const asked = this.#clients.flatMap(({ operations }) => operations.map((operation) => closed(history, operation)));
    const restored = this.#restorers.flatMap(({ calls }) => calls.flatMap((call) => operationsOf(history, call)));
    const judgement = checkLinearizable([...asked.filter((operation) => operation !== null), ...restored]);
    if (judgement.v !== "linearizable") throw new Violation("linearizability", describe(judgement));
  }
}
