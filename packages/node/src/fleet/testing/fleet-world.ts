/**
 * A cluster of three in a cloud's fake, its rows decided by the real rules, and leaders' hands over it: any of them may be deposed without
 * knowing it, killed between two requests, or cut off, as `steps` of a test say.
 */
import { clusterLabels, labelKeys } from "@aether/cloud/labels";
import type { CloudProvider, Labels, MachineSpec } from "@aether/cloud/provider";
import { specDigest } from "@aether/cloud/derivation";
import type { FaultPlan } from "@aether/cloud/testing/http-fake";
import type { VirtualClock } from "@aether/cloud/testing/virtual-clock";
import type { FleetSettings } from "@aether/core/fleet/plan";
import type { InstanceRow } from "@aether/core/instance/state";
import { isRejection, reject, type Command } from "@aether/core/kernel/command";
import { makePlainWorld, type PlainWorld } from "@aether/core/kernel/plain-world";
import type { NodeRow } from "@aether/core/node/state";
import { registry } from "@aether/core/registry";
import { memberOf, operator } from "@aether/core/testing/rules-bench";
import type { Answer } from "@aether/store/types";
import { make as redact } from "effect/Redacted";
import { makeLog, type Log } from "../../daemon/log.ts";
import type { Births } from "../../enrolment/birth.ts";
import { EnrolmentFailed, type Enrol } from "../../enrolment/enrol.ts";
import { ask, makeCall, placesBeside } from "../calls.ts";
import { FleetHand, type Chore } from "../hand.ts";

/** What a vendor's fake shows of itself. */
export interface Vendor {
  readonly provider: "hetzner" | "aws" | "gcp" | "azure";
  readonly clock: VirtualClock;
  readonly client: (plan?: FaultPlan) => CloudProvider;
  readonly machine: MachineSpec;
  /** Labels of all instances that are not ended or about to be, straight from the vendor's books. */
  readonly living: () => readonly Labels[];
  readonly made: () => number;
  readonly isRunning: (instance: string) => boolean;
  /** It ends behind everybody's back. */
  readonly destroy: (node: string) => void;
  readonly violations: () => readonly string[];
}

export const cluster = { id: "0123456789abcdef0123456789abcdef", name: "conform" };
const names = ["n1", "n2", "n3"];
const runningMs = 600_000;

export class FleetWorld {
  readonly world: PlainWorld = makePlainWorld(registry);
  readonly vendor: Vendor;
  readonly births: Births;
  readonly lines: string[] = [];
  readonly settings: FleetSettings;
  /** Whom a quorum follows. */
  leader = 1;
  term = 1;
  /** Nodes that nobody can reach though their machines run. */
  readonly cutOff = new Set<string>();
  /** "node/attempt" of machines that got their certificate. */
  readonly #enrolled = new Set<string>();
  readonly #log: Log;

  constructor(vendor: Vendor, births: Births, settings: FleetSettings) {
    this.vendor = vendor;
    this.births = births;
    this.settings = settings;
    this.#log = makeLog(
      (line) => this.lines.push(line),
      () => new Date(vendor.clock.now()),
    );
  }

  /** As bootstrap does: makes the machines, and hands them over to the log. */
  async begin(): Promise<void> {
    const { provider, machine } = this.vendor;
    const client = this.vendor.client();
    const members = names.map((name, at) => ({ name, member: at + 1, address: `10.0.0.${at + 1}:7600` }));
    this.say({
      type: "InitialiseCluster",
      id: cluster.name,
      clusterId: cluster.id,
      size: 3,
      provider,
      configuration: {},
      members,
    });
    for (const { name, member } of members) this.say({ type: "AdmitNode", id: name, member });
    this.say({ type: "MarkClusterReady", id: cluster.name });
    const place = { zone: this.settings.zones[0] ?? "", size: machine.size };
    for (const { name, address } of members) {
      const asked = await ask(client.compute.ensure(this.births.specOf({ node: name, attempt: 1, ...place })), never);
      if (!asked.ok) throw new Error(asked.error.message);
      this.#enrolled.add(`${name}/1`);
      const instance = asked.value.instance.id;
      this.say({ type: "AdoptInstance", id: name, attempt: 1, ...place, instance, address });
    }
    this.vendor.clock.advance(runningMs);
  }

  say(input: Command, actor = memberOf("n1")): Answer {
    const type = registry.command(input.type);
    if (type === undefined) throw new Error(`there is no command ${input.type}`);
    const command = type.parse(input);
    if ("rejected" in command) throw new Error(JSON.stringify(command));
    const as = type.roles.includes("operator") ? operator : { ...actor, name: ownNamed.has(input.type) ? input.id : actor.name };
    const decision = type.decide(this.world, command, { actor: as, at: this.vendor.clock.now(), bits: "0".repeat(32) });
    if (isRejection(decision)) return { ok: false, rejection: decision, leader: this.leader };
    if (decision.events.length > 0) this.world.apply(decision.events, { at: this.vendor.clock.now(), actor: as });
    const { index } = this.world;
    return { ok: true, index, version: 1, changed: decision.events.length > 0, replayed: false };
  }

  /** Taken while member `id` leads. */
  submit(command: Command, id: number): Answer {
    if (this.leader === id) return this.say(command, memberOf(`n${id}`));
    return { ok: false, rejection: reject("no_leader", "deposed", "wait"), leader: this.leader };
  }

  /** The hand of member `id`, in a process of its own. `knows`: whether it has heard of its own deposition. */
  hand(id: number, plan?: FaultPlan, knows: () => boolean = () => true, client = this.vendor.client(plan)): FleetHand {
    const { vendor, births, world } = this;
    const { compute } = client;
    let lastTerm = this.term;
    const believes = (): boolean => {
      if (this.leader === id) lastTerm = this.term;
      return this.leader === id || (!knows() && lastTerm > 0);
    };
    const store = { world, role: { state: "leader" as const, term: 1, leader: id } };
    Object.defineProperty(store, "role", {
      get: () => ({ state: believes() ? "leader" : "follower", term: lastTerm, leader: this.leader }),
    });
    const dialAt = (address: string): string => address;
    const hasOtherPlace = placesBeside(world, this.settings);
    const parts = { compute, births, enrol: this.#enrol, seeds: () => [], dialAt, hasOtherPlace };
    return new FleetHand({
      cluster,
      store,
      settings: this.settings,
      specOf: births.specOf,
      digestOf: specDigest,
      call: (call, signal) => makeCall(parts, call, signal),
      chores: this.chores(client, id),
      submit: (command) => Promise.resolve(this.submit(command, id)),
      caughtUp: () => {
        this.onCaughtUp();
        return Promise.resolve(this.leader === id);
      },
      log: this.#log,
      now: vendor.clock.now,
    });
  }

  /** Between a plan and its calls: what others have written meanwhile is applied here. */
  onCaughtUp: () => void = () => undefined;
  /** What the leader does beside the machines; none unless a test says so. */
  chores: (client: CloudProvider, id: number) => readonly Chore[] = () => [];

  rowOf(node: string): InstanceRow | undefined {
    return this.world.get<InstanceRow>("instance", node)?.row;
  }

  nodes(): readonly NodeRow[] {
    return [...this.world.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What is wrong at the vendor's, at any moment. */
  wrongs(): readonly string[] {
    const living = this.vendor.living();
    const mine = clusterLabels(cluster.name);
    const bare = living.filter((labels) => Object.entries(mine).some(([key, value]) => labels[key] !== value));
    const nodes = living.map((labels) => labels[labelKeys.node]);
    const twice = nodes.filter((node, at) => nodes.indexOf(node) !== at);
    return [
      ...twice.map((node) => `${node} has two machines`),
      ...bare.map(() => "one without labels"),
      ...this.vendor.violations(),
    ];
  }

  /** Daemons on running machines join and are heard; others fall silent. */
  live(): void {
    for (const { name, address, contact, member, left } of this.nodes()) {
      const row = this.rowOf(name);
      if (left || row === undefined) continue;
      const runs = row.id !== null && this.vendor.isRunning(row.id) && this.#enrolled.has(`${name}/${row.attempt}`);
      const isUp = runs && !this.cutOff.has(name);
      if (isUp && address === null) this.say({ type: "JoinNode", id: name, address: "10.0.0.9:7600" });
      else if (isUp && contact === "lost" && row.attempt > 1)
        this.say({ type: "RejoinNode", id: name, member, verdict: "wiped", address: "10.0.0.9:7600" });
      const current = this.nodes().find((node) => node.name === name);
      if (isUp && current?.duty === "joining") this.say({ type: "AdmitNode", id: name, member: current.member });
      if (current?.address !== null) this.say({ type: "RecordContact", id: name, contact: isUp ? "reachable" : "lost" });
    }
  }

  readonly #enrol = async ({ birth, signal = never }: Pick<Enrol, "birth" | "signal">): Promise<"enrolled"> => {
    const id = this.rowOf(birth.node)?.id ?? "";
    if (!this.vendor.isRunning(id)) throw new EnrolmentFailed("unreachable", "nothing answers");
    this.#enrolled.add(`${birth.node}/${birth.attempt}`);
    await this.vendor.clock.sleep(100, signal);
    return "enrolled";
  };
}

const never = new AbortController().signal;
/** Said by a node of itself. */
const ownNamed: ReadonlySet<string> = new Set(["JoinNode", "RejoinNode"]);

export const birthsGiven = (machine: MachineSpec, zoneOf: (zone: string) => string | undefined) => ({
  cluster,
  secret: redact("fleet-test-secret-0123456789abcdef"),
  settings: { nodePort: 7600, bundleUrl: null },
  machineOf: ({ zone, size }: { readonly zone: string; readonly size: string }): MachineSpec => {
    const at = zoneOf(zone);
    return { ...machine, size, ...(at === undefined ? {} : { zone: at }) };
  },
  daemon: {},
  files: { backupToken: null, providerEnv: null },
});
