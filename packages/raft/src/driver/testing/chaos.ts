import { ReadFailed } from "../../errors.ts";
import type { NodeId } from "../../types.ts";
import { makeManualClock, type ManualClock } from "../manual-clock.ts";
import { Cluster, type Member, seeded } from "./cluster.ts";
import { addition } from "./counter.ts";

export interface ChaosReport {
  readonly acknowledged: number;
  readonly reads: number;
  readonly readsFailed: number;
  readonly kills: number;
  readonly restores: number;
  readonly changes: number;
  readonly terms: number;
  /** What a user would call broken; empty when all is well. */
  readonly faults: readonly string[];
}

/** One life of a cluster, drawn from `seed`: it is written to, read and maltreated for `steps` of 10 ms, then left in peace. */
export async function liveThrough(seed: number, steps: number): Promise<ChaosReport> {
  const life = new Life(seed);
  try {
    for (let step = 0; step < steps; step += 1) await life.step();
    return await life.settle();
  } finally {
    await life.cluster.stop();
  }
}

class Life {
  readonly cluster: Cluster;
  readonly #clock: ManualClock = makeManualClock();
  readonly #chance: () => number;
  readonly #acknowledged: string[] = [];
  readonly #faults: string[] = [];
  readonly #down: NodeId[] = [];
  #gone: NodeId[] = [];
  #reading: Promise<void>[] = [];
  #sent = 0;
  #reads = 0;
  #readsFailed = 0;
  #kills = 0;
  #restores = 0;
  #changes = 0;
  #nextId = 6;

  constructor(seed: number) {
    this.#chance = seeded(seed);
    const limits = { maxApplyBytes: 4096, maxMsgBytes: 2048, maxRoundBytes: 4096, maxInflightMsgs: 8 };
    this.cluster = new Cluster([1, 2, 3, 4, 5], { clock: this.#clock, seed, limits });
    for (const member of this.cluster.members.values()) this.#attach(member);
  }

  async step(): Promise<void> {
    for (const { node } of this.cluster.members.values()) {
      if (node.status().role.state === "leader") node.propose([addition(`a${(this.#sent += 1)}`, 50)]);
    }
    if (this.#odds(0.2)) this.#read();
    if (this.#odds(0.02)) await this.#kill();
    if (this.#odds(0.03)) this.#revive();
    if (this.#odds(0.02)) this.#disturbNetwork();
    if (this.#odds(0.02)) this.#holdDisk();
    if (this.#odds(0.05)) this.#compact();
    if (this.#odds(0.01)) this.#transfer();
    if (this.#odds(0.02)) this.#change();
    await this.#clock.advance(10);
    for (const { id, fatal } of this.cluster.members.values())
      if (fatal !== null) throw new Error(`member ${id}`, { cause: fatal });
  }

  async settle(): Promise<ChaosReport> {
    this.cluster.network.heal();
    this.cluster.network.setLoss(0);
    this.cluster.network.setDelay(1);
    for (const { log } of this.cluster.members.values()) log.release();
    while (this.#down.length > 0) this.#revive();
    await this.#clock.advance(15_000);
    // Who has left the membership is ended, as an operator would.
    const leader = await this.cluster.elected();
    const { voters, learners } = leader.node.status().membership;
    const leaving = Array.from(this.cluster.members.keys()).filter((id) => !voters.includes(id) && !learners.includes(id));
    for (const id of leaving) await this.cluster.kill(id);
    await this.cluster.agreed();
    await Promise.all(this.#reading);
    const { done } = leader.machine.content;
    const all = new Set(done);
    if (all.size !== done.length) this.#faults.push(`${done.length - all.size} additions were made twice`);
    for (const name of this.#acknowledged) if (!all.has(name)) this.#faults.push(`${name} was acknowledged and is lost`);
    for (const { machine } of this.cluster.members.values()) this.#restores += machine.restored;
    return {
      acknowledged: this.#acknowledged.length,
      reads: this.#reads,
      readsFailed: this.#readsFailed,
      kills: this.#kills,
      restores: this.#restores,
      changes: this.#changes,
      terms: leader.node.status().hard.term,
      faults: this.#faults,
    };
  }

  #odds(chance: number): boolean {
    return this.#chance() < chance;
  }

  #any(): Member | undefined {
    const members = [...this.cluster.members.values()];
    return members[Math.floor(this.#chance() * members.length)];
  }

  #attach(member: Member): void {
    member.machine.flushEvery = 1 + Math.floor(this.#chance() * 30);
    member.log.writeMs = Math.floor(this.#chance() * 4);
    member.machine.onAddition = (name, entry) => {
      const { state, term } = member.machine.role;
      if (state === "leader" && term === entry.term) this.#acknowledged.push(name);
    };
  }

  #read(): void {
    const member = this.#any();
    if (member === undefined) return;
    const before = this.#acknowledged.length;
    const { id, machine } = member;
    const reading = member.node.readBarrier(800).then(
      () => {
        const shown = new Set(machine.content.done);
        const unseen = this.#acknowledged.slice(0, before).filter((name) => !shown.has(name));
        if (unseen.length > 0) this.#faults.push(`a read on ${id} did not show ${unseen.join(" ")}`);
        this.#reads += 1;
        return undefined;
      },
      (e: unknown) => {
        if (!(e instanceof ReadFailed)) this.#faults.push(String(e));
        this.#readsFailed += 1;
      },
    );
    this.#reading.push(reading);
  }

  async #kill(): Promise<void> {
    const member = this.#any();
    if (member === undefined || this.#down.length >= 2 || this.#gone.includes(member.id)) return;
    this.#restores += member.machine.restored;
    this.#kills += 1;
    this.#down.push(member.id);
    await this.cluster.kill(member.id);
  }

  #revive(): void {
    const id = this.#down.shift();
    if (id !== undefined) this.#attach(this.cluster.start(id));
  }

  #disturbNetwork(): void {
    const { network } = this.cluster;
    network.heal();
    network.setDelay(Math.floor(this.#chance() * 15));
    network.setLoss(this.#odds(0.3) ? this.#chance() * 0.3 : 0);
    const kind = this.#chance();
    const ids = [...this.cluster.members.keys()];
    if (kind < 0.3) {
      const side = ids.filter(() => this.#odds(0.4));
      network.partition(
        side,
        ids.filter((id) => !side.includes(id)),
      );
    } else if (kind < 0.5) {
      for (const from of ids) for (const to of ids) if (this.#odds(0.15)) network.cut(from, to);
    }
  }

  #holdDisk(): void {
    const member = this.#any();
    if (member === undefined || member.log.held) return;
    member.log.held = true;
    this.#clock.after(this.#chance() * 1500, () => member.log.release());
  }

  #compact(): void {
    const node = this.#any()?.node;
    if (node === undefined) return;
    // The member may be killed on the way; what becomes of the cluster is judged at the end.
    node
      .snapshot()
      .then(() => node.compact(Number.MAX_SAFE_INTEGER))
      .catch(() => undefined);
  }

  #transfer(): void {
    const leader = this.cluster.leader();
    const to = this.#any()?.id;
    if (leader !== undefined && to !== undefined) leader.node.transfer(to, 1000).catch(() => undefined);
  }

  /** Replaces a member by a new one, in one joint change, or promotes nobody: ids only ever grow. */
  #change(): void {
    const leader = this.cluster.leader();
    const leaving = this.#any()?.id;
    if (leader === undefined || leaving === undefined || this.#nextId > 20) return;
    if (leader.node.status().membership.voters.length < 5 || this.#gone.includes(leaving)) return;
    const id = this.#nextId;
    leader.node
      .change(
        [
          { op: "addVoter", id },
          { op: "remove", id: leaving },
        ],
        new Uint8Array(0),
        5000,
      )
      .then(() => {
        this.#changes += 1;
        this.#gone.push(leaving);
        return undefined;
      })
      .catch(() => undefined);
    this.#nextId += 1;
    this.#attach(this.cluster.start(id));
  }
}
