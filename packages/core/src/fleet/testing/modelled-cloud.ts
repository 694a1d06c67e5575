/**
 * A cluster in a modelled cloud, for the rule of the fleet: rows by the real rules, machines that anybody may lose, a vendor that makes one
 * machine for each attempt and would make two for a node if it were asked to. Every effect checks that its intent was there before it.
 */
import { isRejection, type Command } from "../../kernel/command.ts";
import { makePlainWorld, type PlainWorld } from "../../kernel/plain-world.ts";
import type { InstanceRow } from "../../instance/state.ts";
import type { NodeRow } from "../../node/state.ts";
import { registry } from "../../registry.ts";
import { clusterId, firstMembers, memberOf, operator } from "../../testing/rules-bench.ts";
import type { Act, Call, FleetSettings, Sight } from "../plan.ts";

export interface Machine {
  readonly id: string;
  readonly node: string;
  readonly attempt: number;
  readonly zone: string;
  state: "running" | "stopped" | "gone";
  /** It has its certificate, whether that was recorded or not. */
  isEnrolled: boolean;
  readonly madeAt: number;
}

/** What may happen to a call: it fails before or after it was done, or the vendor refuses. */
export type Mishap = "none" | "before" | "after" | "Capacity" | "Quota";

export class ModelledCloud {
  readonly world: PlainWorld = makePlainWorld(registry);
  readonly machines: Machine[] = [];
  seen = new Map<string, Sight>();
  now = 1_000_000;
  leadingSince = 1_000_000;
  /** How long reads do not show what was made. */
  lagMs = 0;
  readonly faults: string[] = [];
  readonly settings: FleetSettings = { zones: ["a", "b", "c"], sizes: ["s", "m"], healAfterMs: 120_000 };
  /** Nodes that nobody can reach though their machines run. */
  readonly cutOff = new Set<string>();

  constructor(size: number) {
    const members = firstMembers(size);
    this.say({ type: "InitialiseCluster", id: "home", clusterId, size, provider: "gcp", configuration: {}, members });
    for (const { name, member } of members) this.say({ type: "AdmitNode", id: name, member });
    this.say({ type: "MarkClusterReady", id: "home" });
    for (const [at, { name, address }] of members.entries()) {
      const zone = this.settings.zones[at % 3] ?? "a";
      this.#make({ node: name, attempt: 1, zone }).isEnrolled = true;
      this.say({ type: "AdoptInstance", id: name, attempt: 1, zone, size: "s", instance: `m-${name}-1`, address });
    }
  }

  /** As the store would; the refusal's reason, or null. Only an operator or the node itself may be meant. */
  say(input: Command): string | null {
    const type = registry.command(input.type);
    if (type === undefined) throw new Error(`there is no command ${input.type}`);
    const command = type.parse(input);
    if ("rejected" in command) throw new Error(JSON.stringify(command));
    const actor = type.roles.includes("operator") ? operator : memberOf(command.id);
    const decision = type.decide(this.world, command, { actor, at: this.now, bits: "0".repeat(32) });
    if (isRejection(decision)) return decision.reason;
    this.world.apply(decision.events, { at: this.now, actor });
    return null;
  }

  rowOf(node: string): InstanceRow | undefined {
    return this.world.get<InstanceRow>("instance", node)?.row;
  }

  nodes(): readonly NodeRow[] {
    return [...this.world.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  livingOf(node: string): readonly Machine[] {
    return this.machines.filter((machine) => machine.node === node && machine.state !== "gone");
  }

  /** Does it, unless something happens to it. A receipt that is refused is a fault of the rule. */
  carryOut(act: Act, mishap: Mishap): void {
    if (act.do === "say") {
      const command = act.command.type === "WantInstance" ? { ...act.command, spec: "d" } : act.command;
      if (command.type === "WantInstance" && this.livingOf(command.id).length > 0)
        this.faults.push(`${command.id}: another machine is wanted while one lives`);
      const refused = this.say(command);
      if (refused !== null) this.faults.push(`${command.type} ${command.id}: ${refused}`);
      return;
    }
    if (mishap === "before") return;
    const receipt = this.#call(act, mishap);
    if (mishap === "after" || receipt === null) return;
    const refused = this.say(receipt);
    if (refused !== null) this.faults.push(`${receipt.type} ${receipt.id}: ${refused}`);
  }

  /** Daemons on running machines join and are heard; others fall silent. */
  live(): void {
    for (const { name, address, contact, duty, member, left } of this.nodes()) {
      if (left) continue;
      const machine = this.livingOf(name).find(({ state }) => state === "running");
      const isUp = machine?.isEnrolled === true && !this.cutOff.has(name);
      const isFresh = machine !== undefined && machine.attempt > 1;
      if (isUp && address === null) this.say({ type: "JoinNode", id: name, address: "10.0.0.1:7400" });
      else if (isUp && contact === "lost" && isFresh && duty !== "draining")
        this.say({ type: "RejoinNode", id: name, member, verdict: "wiped", address: "10.0.0.1:7400" });
      const current = this.nodes().find((node) => node.name === name);
      if (isUp && current?.duty === "joining") this.say({ type: "AdmitNode", id: name, member: current.member });
      if (current?.address !== null) this.say({ type: "RecordContact", id: name, contact: isUp ? "reachable" : "lost" });
    }
  }

  #make(o: { readonly node: string; readonly attempt: number; readonly zone: string }): Machine {
    const machine: Machine = { ...o, id: `m-${o.node}-${o.attempt}`, state: "running", isEnrolled: false, madeAt: this.now };
    this.machines.push(machine);
    if (this.livingOf(o.node).length > 1) this.faults.push(`${o.node} has two machines`);
    return machine;
  }

  /** What the vendor does, and the receipt that the hand would write. */
  #call(call: Call, mishap: Mishap): Command | null {
    const { node, attempt } = call;
    const row = this.rowOf(node);
    const about = { id: node, attempt };
    if (call.call === "ensure") {
      if (row?.state !== "wanted" || row.attempt !== attempt) this.faults.push(`${node} is made without an intent`);
      const known = this.machines.find((machine) => machine.node === node && machine.attempt === attempt);
      if (known?.state === "gone") return { type: "RecordGone", ...about, how: "it has ended" };
      if (known === undefined && (mishap === "Capacity" || mishap === "Quota"))
        return { type: "RefuseInstance", ...about, tag: mishap, code: "x", requestId: "r", message: "no" };
      const made = known ?? this.#make({ node, attempt, zone: call.zone });
      return { type: "RecordInstance", ...about, step: "accepted", instance: made.id };
    }
    const machine = this.machines.find(({ id }) => id === call.instance);
    const isShown = machine !== undefined && machine.state !== "gone" && this.now - machine.madeAt >= this.lagMs;
    if (!isShown) return this.#sawNothing(call);
    switch (call.call) {
      case "look":
        this.seen.set(node, this.#sight(call.instance, machine.state === "running" ? "running" : "stopped", null));
        return null;
      case "enrol":
        if (machine.state !== "running" || this.cutOff.has(node)) return null;
        machine.isEnrolled = true;
        return { type: "RecordInstance", ...about, step: "enrolled", instance: machine.id };
      case "stop":
        if (row?.state !== "stopping") this.faults.push(`${node} is stopped without an intent`);
        machine.state = "stopped";
        return { type: "RecordStopped", ...about };
      case "delete":
        if (row?.state !== "removing") this.faults.push(`${node} is deleted without an intent`);
        this.#judgeDeletion(machine);
        machine.state = "gone";
        return { type: "RecordGone", ...about, how: "deleted" };
    }
  }

  /** A member's machine goes only when the member has left, or when the machine was stopped before. */
  #judgeDeletion({ node, state, isEnrolled }: Machine): void {
    const row = this.nodes().find(({ name }) => name === node);
    if (row !== undefined && !row.left && isEnrolled && state === "running")
      this.faults.push(`${node} is deleted while it may run`);
  }

  /** A vendor may show nothing for a while of what it has just made; what is old and not shown is gone. */
  #sawNothing(call: Exclude<Call, { readonly call: "ensure" }>): null {
    const before = this.seen.get(call.node);
    const isSame = before?.instance === call.instance && before.absentSince !== null;
    this.seen.set(call.node, this.#sight(call.instance, "absent", isSame ? before.absentSince : this.now));
    return null;
  }

  #sight(instance: string, state: Sight["state"], absentSince: number | null): Sight {
    return { instance, state, address: "10.0.0.1:7400", at: this.now, absentSince };
  }
}
