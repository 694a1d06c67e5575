/** The nodes of one life, the network between them, and what everybody in the simulator needs to know of the whole. */
import type { Command } from "@aether/core/kernel/command";
import type { Registry } from "@aether/core/kernel/registry";
import { applyConfigChange, decodeConfigChange } from "@aether/raft/config-change";
import {
  type Entry,
  type EntryId,
  type Envelope,
  Kind,
  type Membership,
  type NodeId,
  type OpenVerdict,
} from "@aether/raft/types";
import type { Answer, Submission } from "@aether/store/types";
import { Answers } from "../checks/answers.ts";
import { Candidacies } from "../checks/candidacies.ts";
import { Owed, type OpenCall } from "../checks/owed.ts";
import { History, isQuorum } from "../checks/history.ts";
import { hold, Violation } from "../checks/violation.ts";
import type { Device, DeviceFaults } from "../disk/device.ts";
import { calm, Network } from "../net/network.ts";
import type { Plan } from "../plan.ts";
import { makeStream, type Stream } from "../world/stream.ts";
import { type Process, World } from "../world/world.ts";
import { diskEnds } from "./names.ts";
import { rulesOf } from "./rules.ts";
import { type Image, type Running, SimNode } from "./node.ts";

export class Cluster {
  readonly world = new World();
  readonly plan: Plan;
  readonly history = new History();
  readonly network: Network;
  readonly nodes: SimNode[] = [];
  readonly rules: Registry;
  deviceFaults: DeviceFaults;
  readonly calmDevice: DeviceFaults = { meanMs: 0.2, stallChance: 0, stallMs: 0, errorChance: 0, lies: false };
  readonly counts = {
    starts: 0,
    diskEnds: 0,
    lostLogs: 0,
    refused: 0,
    rebuilt: 0,
    damagedSnapshots: 0,
    tornFiles: 0,
    forgottenNames: 0,
    forwarded: 0,
    operations: 0,
    stalls: 0,
    errors: 0,
    full: 0,
  };
  /** When the faults end: no disk stalls for longer. */
  faultsEndAt = Infinity;
  /** Sees every member that begins to lead. */
  onLeads: (node: SimNode) => void = () => undefined;
  /** Sees every piece of a snapshot that a node has received and written, and when all of it counts. */
  onReceived: (node: SimNode, what: "a piece" | "all") => void = () => undefined;
  /** The first thing that went wrong; the life ends with it. */
  violation: Error | null = null;
  readonly answers = new Answers();
  readonly #candidacies = new Candidacies();
  /** The entries with changes of the membership that were ever sent. */
  readonly #changes: EntryId[] = [];
  readonly #streams = new Map<string, Stream>();
  /** Submissions that were not answered yet: who took each, and when. */
  readonly #unanswered = new Set<OpenCall>();
  readonly #owed = new Owed();

  constructor(plan: Plan) {
    this.plan = plan;
    const streams = { messages: this.stream("network"), cutting: this.stream("cut frames"), dialling: this.stream("dials") };
    this.network = new Network(this.world, { ...calm }, streams);
    this.network.onCarry = (envelope) => {
      const { m } = envelope;
      const sender = this.nodes.find(({ member }) => member === envelope.from)?.process;
      this.observe(() => this.#candidacies.sends(envelope, () => this.memberships(), sender));
      this.observe(() => this.answers.sends(envelope, this.world.now, () => this.memberships()));
      if (m.t === "vote" || m.t === "preVote") this.observe(() => this.#asksForVotes(envelope));
      if (m.t === "voteResp" && m.granted) this.observe(() => this.#voteIsDurable(envelope, envelope.to));
      if (m.t === "vote") this.observe(() => this.#voteIsDurable(envelope, envelope.from));
      this.#owed.sends(sender, envelope);
      if (m.t !== "app") return;
      for (const { kind, index, term } of m.entries)
        if (kind === Kind.config) this.observe(() => this.#sendsChange(envelope, { index, term }));
    };
    this.network.onArrival = (envelope) => {
      const node = this.nodes.find(({ member }) => member === envelope.to);
      if (node?.running) this.#owed.arrives(node, node.running, envelope);
    };
    this.deviceFaults = this.calmDevice;
    this.rules = rulesOf(plan.defect === "diceInRules" ? this.stream("dice") : null);
  }

  /** It would count the wrong quorum. */
  #asksForVotes({ from }: Envelope): void {
    const running = this.nodes.find(({ member }) => member === from)?.running;
    if (!running) return;
    const { role, applied, hard } = running.driver.status();
    // One that has heard of a commit since is a candidate no more.
    if (role.state !== "candidate" && role.state !== "preCandidate") return;
    const { view } = running.storage;
    for (let i = Math.max(applied + 1, view.first()); i <= Math.min(hard.commit, view.last().index); i++) {
      const [entry] = view.read(i, i + 1, 1) as [Entry];
      const why = (): string => `member ${from} has applied ${applied} and knows of the change ${i}`;
      hold(entry.kind !== Kind.config, "who campaigns has applied the changes that it knows of", why);
    }
  }

  /** Who asks for votes has voted for itself. */
  #voteIsDurable({ from, term }: Envelope, to: NodeId): void {
    const hard = this.nodes.find(({ member }) => member === from)?.hardRecord()?.hard;
    const durable = hard !== undefined && (hard.term > term || (hard.term === term && hard.vote === to));
    const why = (): string => `member ${from} votes for ${to} in term ${term}; on disk is ${JSON.stringify(hard)}`;
    hold(durable, "a vote is told when it is durable", why);
  }

  /** Whoever takes a change into its log has applied all those before it there, its own and those that it found. */
  #sendsChange(envelope: Envelope, change: EntryId): void {
    this.history.sendsChange(change.index);
    const running = this.nodes.find(({ member }) => member === envelope.from)?.running;
    if (change.term === envelope.term && running) {
      const { applied } = running.driver.status();
      const { view } = running.storage;
      const open = this.#changes.find(
        ({ index, term }) => index > applied && index < change.index && (term === change.term || view.term(index) === term),
      );
      const why = (): string =>
        `member ${envelope.from} begins ${change.index}/${change.term} before it has applied ${open?.index}`;
      hold(open === undefined, "a change waits for the one before", why);
    }
    if (!this.#changes.some(({ index, term }) => index === change.index && term === change.term)) this.#changes.push(change);
  }

  /** One stream per concern, the same one whenever it is asked for. */
  stream(concern: string): Stream {
    let stream = this.#streams.get(concern);
    if (stream === undefined) {
      stream = makeStream(this.plan.seed, concern);
      this.#streams.set(concern, stream);
    }
    return stream;
  }

  /** One more node, with an empty disk. */
  add(): SimNode {
    const name = `n${this.nodes.length + 1}`;
    const draw = this.stream("clocks");
    const rate = 1 + draw.between(-this.plan.skew, this.plan.skew);
    const node = new SimNode(this, name, { rate, wallOffsetMs: draw.between(-1, 1) * this.plan.wallStepMs });
    this.nodes.push(node);
    return node;
  }

  /** Runs a check outside of what it checks, so that no member can catch what it throws. */
  observe(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.failed(error);
    }
  }

  failed(error: unknown): void {
    this.violation ??= error instanceof Error ? error : new Error(String(error));
  }

  /** A process ends itself. Only its disk may make it. */
  ended(node: SimNode, process: Process, error: Error): void {
    if (!process.alive) return;
    const text = `${error.name} ${error.message} ${(error.cause as Error | undefined)?.message ?? ""}`;
    const ownRows = error.name.endsWith("Damaged") && node.stateRotten;
    if (diskEnds.test(text) || ownRows) this.counts.diskEnds += 1;
    else this.failed(new Violation("no member ends itself", `${node.name}: ${error.stack ?? text}`));
    node.crash(`ends: ${error.message.split("\n", 1)[0]}`);
  }

  /** Only a disk that was made to rot may lose what it promised. */
  foundLost(node: SimNode, verdict: OpenVerdict): void {
    this.counts.lostLogs += 1;
    if (node.rotten === node.member || this.plan.defect === "lyingDisk") return;
    this.failed(new Violation("a whole log opens", `${node.name} finds its log ${JSON.stringify(verdict)}`));
  }

  /** Nobody vouched for its disk, or it contradicts itself: right only for one that was put back, or that rotted. */
  refused(node: SimNode, why: string): void {
    this.counts.refused += 1;
    const rotten = node.rotten === node.member || node.stateRotten;
    const deserved = node.stale || rotten || this.plan.defect === "lyingDisk";
    if (!deserved) this.failed(new Violation("a whole disk takes part", `${node.name} is refused: ${why}`));
    node.retire(`may not take part: ${why}`);
  }

  takesPart(node: SimNode): void {
    this.counts.starts += 1;
    if (!node.stale) return;
    this.failed(new Violation("an old copy of a disk takes no part", `${node.name} takes part as member ${node.member}`));
  }

  stateRebuilt(node: SimNode, why: string): void {
    this.counts.rebuilt += 1;
    this.world.tell(node.name, `builds its rows anew: ${why}`);
    const deserved = node.stateRotten || this.plan.defect === "lyingDisk";
    if (!deserved) this.failed(new Violation("whole rows open", `${node.name}: ${why}`));
  }

  /** A file that has the name of a snapshot was whole when it got it. */
  snapshotDamaged(node: SimNode, file: string): void {
    this.counts.damagedSnapshots += 1;
    this.world.tell(node.name, `sets the damaged snapshot ${file} aside`);
    const deserved = node.stateRotten || this.plan.defect === "lyingDisk";
    if (!deserved) this.failed(new Violation("a whole snapshot opens", `${node.name}: ${file}`));
  }

  addCrash({ torn, forgotten }: ReturnType<SimNode["disk"]["crash"]>): void {
    this.counts.tornFiles += torn;
    this.counts.forgottenNames += forgotten;
  }

  addDisk(counts: Device["counts"]): void {
    this.counts.full += counts.full;
    this.counts.operations += counts.operations;
    this.counts.stalls += counts.stalls;
    this.counts.errors += counts.errors;
  }

  /** From all others, in both directions, until the network heals. */
  cutOff(node: SimNode): void {
    this.world.tell("network", `${node.name} is cut off`);
    for (const { name } of this.nodes) {
      if (name === node.name) continue;
      this.network.cut(node.name, name);
      this.network.cut(name, node.name);
    }
  }

  /** A member begins to lead, and tells what it knows then. */
  elected(node: SimNode, { driver, member }: Running, term: number): void {
    const { last, membership } = driver.status();
    this.#candidacies.leads(member, term, membership);
    this.#owed.leads(node.process);
    this.history.leaderHolds(member, term, last.index);
    this.onLeads(node);
  }

  leader(): (Running & { readonly node: SimNode }) | undefined {
    let found: { readonly node: SimNode; readonly running: Running } | undefined;
    for (const node of this.nodes) {
      const { running } = node;
      if (running === null || running.store.role.state !== "leader") continue;
      if (found === undefined || running.store.role.term > found.running.store.role.term) found = { node, running };
    }
    return found === undefined ? undefined : { ...found.running, node: found.node };
  }

  /** Every membership that is in force at some member whose disk is open, or that a config entry in its log may bring. */
  memberships(): Membership[] {
    const all: Membership[] = [];
    for (const { opened, running } of this.nodes) {
      if (opened === null) continue;
      const { membership, applied } = running?.driver.status() ?? opened.store;
      const { view } = opened.storage;
      let current = membership;
      all.push(current);
      for (let i = Math.max(applied + 1, view.first()); i <= view.last().index; i++) {
        const [entry] = view.read(i, i + 1, 1);
        if (typeof entry === "string" || entry?.kind !== Kind.config) continue;
        const next = applyConfigChange(current, decodeConfigChange(entry.data));
        if ("reason" in next) continue;
        current = next;
        all.push(current);
      }
    }
    return all;
  }

  /** Would every such membership still have a quorum on sound disks, were it not for these nodes? */
  sparesQuorum(lost: ReadonlySet<SimNode>): boolean {
    const sound = new Set(this.nodes.flatMap((node) => (lost.has(node) || node.mayBeLost ? [] : [node.member])));
    return this.memberships().every((membership) => isQuorum(membership, (id) => sound.has(id)));
  }

  /**
   * Would this older image of a disk be found out by whoever is asked? So it must be, when of every membership's other voters any
   * that suffice for vouching include one with a higher floor on disk: what the product promises to catch (docs/internals/members.md).
   */
  wouldFindOut({ member, last, term }: Image): boolean {
    const knows = (id: number): boolean => {
      const floor = this.nodes.find((node) => node.member === id)?.floorOf(member);
      return floor !== undefined && (floor.index > last.index || floor.term > term);
    };
    return this.memberships().every(({ voters, outgoing }) => {
      const others = [...new Set([...voters, ...outgoing])].filter((id) => id !== member);
      return others.filter((id) => !knows(id)).length < Math.floor(voters.length / 2);
    });
  }

  /** Asks the leader once, as an operator, and does not wait for what comes of it. */
  order(command: Command): void {
    const leader = this.leader();
    const actor = { name: "operator", role: "operator" } as const;
    if (leader !== undefined) this.call(leader.node, { command, actor, request: null }, () => undefined);
  }

  /** Over the network, there and back, to whatever process then runs; `direct`: not on to the leader. An answer may never come. */
  call(target: SimNode, submission: Submission, done: (a: Answer) => void, direct = false): void {
    this.reach(target, ({ store, gateway, member }, back) => {
      let answers = 0;
      const { type } = submission.command;
      const open = { by: target.process as Process, since: this.world.now, type, direct };
      this.#unanswered.add(open);
      const before = this.history.top;
      const { term } = store.role;
      (direct ? store : gateway).submit(submission, (answer) => {
        answers += 1;
        this.#unanswered.delete(open);
        if (direct && tellsOfState(answer)) {
          this.observe(() => checkBasis(store.applied, before));
          // Its barrier may have been confirmed before the membership changed: then it waited for what it was decided on.
          const lately = (): Membership[] => [...this.memberships(), ...this.history.latestMemberships()];
          this.observe(() => this.answers.refuses(member, term, open.since, lately));
        }
        if (answers > 1) this.failed(new Violation("one answer per submission", `${submission.command.type} got ${answers}`));
        back(() => done(answer));
      });
    });
  }

  /** Looks at what members owe each other and their callers. */
  checkOwed(): void {
    this.#owed.look(this.nodes, this.#unanswered, this.world.now);
  }

  /** Commands that a process which still runs has owed an answer for longer than `ms`. */
  overdue(ms: number): string[] {
    const late = [...this.#unanswered].filter(({ by, since }) => by.alive && since < this.world.now - ms);
    return late.map(({ by, since, type }) => `${type} at ${by.name} since ${(since / 1000).toFixed(3)} s`);
  }

  /** Runs `ask` in the target's process; what it hands to `back` runs at the caller's, if nothing is lost on the way. */
  reach(target: SimNode, ask: (running: Running, back: (then: () => void) => void) => void): void {
    const { world, network } = this;
    const chance = this.stream("callers");
    if (chance.chance(network.faults.loss)) return;
    world.after(network.tripMs(), null, "call", () => {
      const { process } = target;
      if (process === null) return;
      world.within(process, "asked", () => {
        if (target.running === null) return;
        ask(target.running, (then) => {
          if (!chance.chance(network.faults.loss)) world.after(network.tripMs(), null, "answer", then);
        });
      });
    });
  }
}

const tellsOfState = (answer: Answer): boolean =>
  !answer.ok && (answer.rejection.reason === "stale" || answer.rejection.reason === "not_found");

/** The state that a refusal tells of holds all that was committed when the command came; `applied` is that state's. */
function checkBasis(applied: number, before: number): void {
  hold(applied >= before, "a refusal sees what was committed before it", () => `refused at ${applied}, committed ${before}`);
}
