/** A world that commands are tried on, as the store would: parsed, allowed by role, decided, applied. For the tests of the rules. */
import type { Command, DecideContext, Rejection } from "../kernel/command.ts";
import type { DomainEvent, Identity } from "../kernel/event.ts";
import { makePlainWorld, type PlainWorld } from "../kernel/plain-world.ts";
import type { NodeRow } from "../node/state.ts";
import { registry } from "../registry.ts";

export const operator: Identity = { name: "ops", role: "operator" };
export const memberOf = (name: string): Identity => ({ name, role: "member" });

export interface Done {
  readonly events: readonly DomainEvent[];
  readonly answer?: unknown;
}

export class RulesBench {
  readonly world: PlainWorld = makePlainWorld(registry);
  /** All events so far, entry by entry. */
  readonly entries: (readonly DomainEvent[])[] = [];

  /** Tries a command. Throws when it does not parse or the role may not issue it: a test that means that uses the parts. */
  try(input: Command, actor: Identity = operator): Done | Rejection {
    const type = registry.command(input.type);
    if (type === undefined) throw new Error(`there is no command ${input.type}`);
    if (!type.roles.includes(actor.role)) throw new Error(`${actor.role} may not issue ${input.type}`);
    const command = type.parse(input);
    if ("rejected" in command) throw new Error(JSON.stringify(command));
    const context: DecideContext = { actor, at: 1_000, bits: "0".repeat(32) };
    const decision = type.decide(this.world, command, context);
    if ("rejected" in decision) return decision;
    this.entries.push(decision.events);
    this.world.apply(decision.events, { actor });
    return decision;
  }

  /** The types of the events, or the refusal's reason. */
  outcome(input: Command, actor: Identity = operator): readonly string[] | string {
    const done = this.try(input, actor);
    return "rejected" in done ? done.reason : done.events.map(({ type }) => type);
  }

  node(name: string): NodeRow {
    const row = this.world.get<NodeRow>("node", name)?.row;
    if (row === undefined) throw new Error(`there is no node ${name}`);
    return row;
  }
}

export const clusterId = "ab".repeat(16);
export const firstMembers = (size: number) =>
  Array.from({ length: size }, (_, at) => ({ name: `n${at + 1}`, member: at + 1, address: `127.0.0.1:${7401 + at}` }));

export const initialise = (size: number): Command => {
  const members = firstMembers(size);
  return { type: "InitialiseCluster", id: "home", clusterId, size, provider: "local", configuration: { note: "kept" }, members };
};

/** A ready cluster with all first members on duty and reachable. */
export function readyCluster(size: number): RulesBench {
  const bench = new RulesBench();
  bench.try(initialise(size));
  for (const { name, member } of firstMembers(size)) bench.try({ type: "AdmitNode", id: name, member }, memberOf("n1"));
  bench.try({ type: "MarkClusterReady", id: "home" });
  return bench;
}
