import { firstMembersLog } from "../memory-log.ts";
import type { Change, Entry, Envelope, Index, Membership, NodeId, Ready, Term } from "../types.ts";
import { sameMembership } from "../core/confchange.ts";
import { SimMember, type Witness } from "./sim-member.ts";

/** One thing that happens: a weighted kind, and numbers that choose whom it happens to. */
export interface Happening {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
}

/** `kind` is a number from 0 to below this. */
export const kindsOfHappening = 1000;

const maxMail = 80;
const maxIds = 7;

/** mulberry32: small, seeded, good enough to draw timeouts. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * A small cluster to which anything may happen: messages are lost, doubled and reordered, members crash with half their
 * writes undone, the membership changes, logs are cut. It holds what must be true at every moment and throws when it is not:
 * one leader a term; the same entry and membership at the same index everywhere; reads that see all that was applied before.
 */
export class RandomCluster implements Witness {
  readonly members = new Map<NodeId, SimMember>();
  readonly leaders = new Map<Term, NodeId>();
  readonly history = new Map<Index, string>();
  /** Members that were removed and switched off for good. */
  readonly retired = new Set<NodeId>();
  readonly counts = { applied: 0, reads: 0, snapshots: 0, changes: 0, elections: 0, crashes: 0 };
  private readonly memberships = new Map<Index, Membership>();
  private mail: Envelope[] = [];
  private readonly cuts = new Set<string>();
  private highestApplied = 0;
  private readonly reads = new Map<number, Index>();
  private nextKey = 1;
  private nextText = 1;
  private readonly rng: () => number;

  constructor(size: number, seed: number) {
    this.rng = seeded(seed);
    const ids = Array.from({ length: size }, (_, i) => i + 1);
    for (const id of ids) this.members.set(id, new SimMember(id, firstMembersLog(ids), this, this.rng));
  }

  happen({ kind, a, b }: Happening): void {
    const one = this.pick(a);
    const [, act] = this.kinds.find(([until]) => kind < until) ?? this.kinds[0]!;
    act(one, a, b);
  }

  /** Upper bounds of `kind` and what happens below them: the gaps are the odds. */
  private readonly kinds: readonly [number, (m: SimMember, a: number, b: number) => void][] = [
    [160, (m) => void m.step({ k: "tick" })],
    [340, (_, a) => this.deliverSome(a)],
    [380, (m) => m.take()],
    [420, (m, _, b) => m.write(1 + (b % 3))],
    [460, (m) => m.complete()],
    [700, (m) => this.run(m)],
    [780, (m) => this.propose(m)],
    [850, (m) => this.read(m)],
    [870, (_, a) => void this.mail.splice(a % Math.max(1, this.mail.length), 1)],
    [890, (_, a) => this.double(a)],
    [900, (m, _, b) => this.change(m, b)],
    [930, (m) => m.flush()],
    [950, (m) => m.cut()],
    [954, (m) => this.crash(m)],
    [958, (m) => this.retire(m)],
    [968, (m) => (m.core === null && !this.retired.has(m.id) ? m.start() : undefined)],
    [972, (m, _, b) => this.toggleCut(m.id, 1 + (b % maxIds))],
    [976, (m) => this.isolate(m.id)],
    [979, () => this.cuts.clear()],
    [986, (m, _, b) => void m.step({ k: "transfer", to: 1 + (b % maxIds) })],
    [994, (m, _, b) => void m.step({ k: "unreachable", to: 1 + (b % maxIds) })],
    [kindsOfHappening, (m, _, b) => void m.step({ k: "stall", sick: b % 4 === 0 })],
  ];

  /** Faults end: all come back, everything is delivered, time passes. The cluster must then work, and agree. */
  recover(): void {
    this.cuts.clear();
    for (const m of this.members.values()) {
      if (m.core === null && !this.retired.has(m.id)) m.start();
      m.step({ k: "stall", sick: false });
    }
    for (let tick = 0; tick < 200; tick++) {
      for (const m of this.members.values()) m.step({ k: "tick" });
      this.settle();
    }
    const leader = this.leader();
    const outcome = leader.step({ k: "propose", data: [Uint8Array.of(9)] });
    if (outcome?.ok !== true) throw new Error(`the leader refuses a proposal after recovery: ${JSON.stringify(outcome)}`);
    this.settle();
    for (let tick = 0; tick < 20; tick++) {
      for (const m of this.members.values()) m.step({ k: "tick" });
      this.settle();
    }
    const { membership } = leader.core!.status();
    if (membership.outgoing.length > 0) throw new Error("a joint membership is never left");
    for (const id of [...membership.voters, ...membership.learners]) {
      const member = this.members.get(id)!;
      if (member.applied < outcome.last) throw new Error(`member ${id} never catches up: ${member.core!.digest()}`);
      if (!sameMembership(member.core!.status().membership, membership)) throw new Error(`member ${id} has another membership`);
    }
  }

  send(envelopes: readonly Envelope[]): void {
    this.mail.push(...envelopes);
    if (this.mail.length > maxMail) this.mail.splice(0, this.mail.length - maxMail);
  }

  applied(id: NodeId, e: Entry): void {
    const text = `${e.term}/${e.kind}/${e.data.join()}`;
    const before = this.history.get(e.index);
    if (before === undefined) this.history.set(e.index, text);
    else if (before !== text) throw new Error(`entry ${e.index} is ${before} and, on member ${id}, ${text}`);
    this.highestApplied = Math.max(this.highestApplied, e.index);
    this.counts.applied++;
  }

  membershipAt(id: NodeId, index: Index, m: Membership): void {
    const before = this.memberships.get(index);
    if (before === undefined) this.memberships.set(index, m);
    else if (!sameMembership(before, m)) throw new Error(`member ${id} has another membership at ${index}`);
    this.counts.changes++;
  }

  role(id: NodeId, role: NonNullable<Ready["role"]>): void {
    if (role.state !== "leader") return;
    const other = this.leaders.get(role.term) ?? id;
    if (other !== id) throw new Error(`term ${role.term} has two leaders, ${other} and ${id}`);
    this.leaders.set(role.term, id);
    this.counts.elections++;
  }

  readAnswered(id: NodeId, key: number, index: Index): void {
    const floor = this.reads.get(key);
    if (floor === undefined) throw new Error(`member ${id} answers read ${key} twice, or nobody asked`);
    if (index < floor) throw new Error(`read ${key} is answered at ${index}, but ${floor} was applied before it was asked`);
    this.reads.delete(key);
    this.counts.reads++;
  }

  /** A snapshot arrives like any message, late or never; its sender hears of it either way. */
  wantsSnapshot(from: NodeId, to: NodeId, atLeast: Index): void {
    const member = this.members.get(from)!;
    const meta = member.snapshot;
    const { role } = member.core!.status();
    if (meta === null || meta.id.index < atLeast) throw new Error(`member ${from} has no snapshot at ${atLeast}`);
    const ok = this.rng() < 0.7 && this.members.has(to);
    if (ok) this.mail.push({ from, to, term: role.term, m: { t: "snapOffer", meta } });
    this.counts.snapshots++;
    member.step({ k: "snapStatus", to, index: meta.id.index, ok });
  }

  private pick(n: number): SimMember {
    const all = [...this.members.values()];
    return all[n % all.length]!;
  }

  private leader(): SimMember {
    const leading = [...this.members.values()].filter((m) => m.core?.status().role.state === "leader");
    const newest = leading.sort((x, y) => y.core!.status().role.term - x.core!.status().role.term)[0];
    if (newest === undefined)
      throw new Error(`nobody leads:\n${[...this.members.values()].map((m) => m.core?.digest() ?? `${m.id} is off`).join("\n")}`);
    return newest;
  }

  /** Mostly the oldest messages arrive next, but it may be any. */
  private deliverSome(n: number): void {
    for (let i = 0; i <= n % 5 && this.mail.length > 0; i++) {
      const [e] = this.mail.splice(n % 7 === 0 ? (n + i) % this.mail.length : 0, 1);
      if (e !== undefined) this.arrive(e);
    }
  }

  private arrive(e: Envelope): void {
    if (!this.cuts.has(`${e.from}-${e.to}`)) this.members.get(e.to)?.step({ k: "recv", e });
  }

  private double(n: number): void {
    const e = this.mail[n % Math.max(1, this.mail.length)];
    if (e !== undefined) this.mail.push(e);
  }

  /** What a driver's turn does, without being held up. */
  private run(m: SimMember): void {
    for (let i = 0; i < 50 && m.busy && m.core !== null; i++) {
      m.take();
      m.write(100);
      m.complete();
    }
  }

  private settle(): void {
    for (let i = 0; i < 2000; i++) {
      for (const m of this.members.values()) this.run(m);
      const e = this.mail.shift();
      if (e === undefined) return;
      this.arrive(e);
    }
    throw new Error("messages never end");
  }

  private propose(m: SimMember): void {
    const n = this.nextText++;
    m.step({ k: "propose", data: [Uint8Array.of(n >> 8, n & 255), new Uint8Array(n % 7)] });
  }

  private read(m: SimMember): void {
    const key = this.nextKey++;
    const floor = this.highestApplied;
    if (m.core !== null && m.step({ k: "read", key }) === undefined) this.reads.set(key, floor);
  }

  private crash(m: SimMember): void {
    if (m.core === null) return;
    m.crash();
    this.counts.crashes++;
  }

  /** An operator sees a leader that has applied a removal, and switches the removed members off for ever. */
  private retire(leader: SimMember): void {
    const status = leader.core?.status();
    if (status?.role.state !== "leader") return;
    const { voters, outgoing, learners } = status.membership;
    for (const m of this.members.values()) {
      if (voters.includes(m.id) || outgoing.includes(m.id) || learners.includes(m.id) || !m.wasMember) continue;
      m.crash();
      this.retired.add(m.id);
    }
  }

  private isolate(id: NodeId): void {
    for (let other = 1; other <= maxIds; other++) this.cuts.add(`${id}-${other}`).add(`${other}-${id}`);
  }

  private toggleCut(from: NodeId, to: NodeId): void {
    const path = `${from}-${to}`;
    if (!this.cuts.delete(path)) this.cuts.add(path);
  }

  /** Adds a new id as a learner or voter, promotes, demotes or removes; ids that left are never used again. */
  private change(m: SimMember, b: number): void {
    if (m.core === null || m.core.status().role.state !== "leader") return;
    const now = m.core.status().membership;
    const known = [...now.voters, ...now.learners];
    const newest = this.members.size + 1;
    const some = known[b % known.length]!;
    const ops: Change["op"][] = ["addVoter", "addLearner", "remove"];
    const changes: Change[] = [{ op: ops[b % 3]!, id: some }];
    if (newest <= maxIds && b % 2 === 0) {
      changes.push({ op: b % 4 === 0 ? "addVoter" : "addLearner", id: newest });
    }
    const transition = b % 5 === 0 ? "joint" : "auto";
    const outcome = m.step({ k: "change", change: { changes, transition, leave: false, context: new Uint8Array(0) } });
    if (outcome?.ok === true && changes.length === 2) this.members.set(newest, new SimMember(newest, {}, this, this.rng));
  }
}
