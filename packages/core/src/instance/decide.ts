/** The rules of machines: one at most for a node, each step said once, and what an older leader says of an older attempt is stale. */
import { theCluster } from "../cluster/state.ts";
import { reject, type Command, type DecideContext, type Decision, type Rejection } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import type { Provider } from "../kernel/grammar.ts";
import type { World } from "../kernel/world.ts";
import { hasJoined, type NodeRow } from "../node/state.ts";
import * as events from "./events.ts";
import { waits, type InstanceRow } from "./state.ts";
import { mayLive, stateAfter, type InstanceState } from "./transitions.ts";

const nothing: Decision = { events: [] };
const rowOf = (world: World, node: string): InstanceRow | undefined => world.get<InstanceRow>("instance", node)?.row;
const nodeOf = (world: World, node: string): NodeRow | undefined => world.get<NodeRow>("node", node)?.row;

type Attempt = Command & { readonly attempt: number };

/** The row of this attempt, or the refusal that there is none or another. */
function current(world: World, { id, attempt }: Attempt): InstanceRow | Rejection {
  const row = rowOf(world, id);
  if (row === undefined)
    return reject("not_found", `node ${id} has no machine`, "aether cluster instances shows those there are");
  if (row.attempt === attempt) return row;
  return reject("stale", `node ${id} is at attempt ${row.attempt}, not ${attempt}`, "read the instance's row again");
}

/** The event if the table allows it; nothing when the state is one of `already`. */
function step(row: InstanceRow, event: DomainEvent, already: readonly InstanceState[] = []): Decision {
  if (already.includes(row.state)) return nothing;
  if (stateAfter(row.state, event.type) !== undefined) return { events: [event] };
  const message = `the instance of ${row.node} is ${row.state}: ${event.type} is not possible`;
  return reject("illegal_transition", message, "read the instance's row again");
}

/** The cloud that the cluster is in, or the refusal. */
function cloudOf(world: World, node: string): Exclude<Provider, "local"> | Rejection {
  const cluster = theCluster(world);
  if (cluster === undefined || nodeOf(world, node) === undefined)
    return reject("not_found", `there is no node ${node}`, "aether node list shows those there are");
  const { provider } = cluster.row;
  if (provider !== "local") return provider;
  return reject("conflict", `cluster ${cluster.id} is on this computer: its nodes have no machines`, "aether cluster scale");
}

type Want = Attempt & Pick<InstanceRow, "zone" | "size" | "spec" | "why">;

export function decideWant(world: World, command: Want): Decision {
  const { id, attempt, zone, size, spec, why } = command;
  const provider = cloudOf(world, id);
  if (typeof provider !== "string") return provider;
  const node = nodeOf(world, id);
  if (node === undefined || node.left || (node.duty !== "joining" && node.duty !== "on-duty"))
    return reject("conflict", `node ${id} is on its way out`, "it needs no machine any more");
  const row = rowOf(world, id);
  if (row !== undefined && row.attempt === attempt && row.state === "wanted" && row.spec === spec) return nothing;
  const message = taken(row, attempt);
  if (message !== null) return reject("stale", message, "read the instance's row again");
  if (row?.held === true) return reject("conflict", `node ${id} waits for an operator`, `aether node retry ${id}`);
  return { events: [events.InstanceWanted.of(id, { attempt, zone, size, spec, why, provider })] };
}

/** Why there can be no new machine of this attempt, or null. */
function taken(row: InstanceRow | undefined, attempt: number): string | null {
  if (row === undefined) return attempt === 1 ? null : `the first attempt is 1, not ${attempt}`;
  if (mayLive(row.state)) return `node ${row.node} has a machine, which is ${row.state}`;
  return attempt === row.attempt + 1 ? null : `node ${row.node} is at attempt ${row.attempt}: ${attempt} is not the next`;
}

type Adopt = Attempt & { readonly zone: string; readonly size: string; readonly instance: string; readonly address: string };

export function decideAdopt(world: World, command: Adopt): Decision {
  const { id, attempt, zone, size, instance, address } = command;
  const provider = cloudOf(world, id);
  if (typeof provider !== "string") return provider;
  const row = rowOf(world, id);
  if (row !== undefined && row.attempt === attempt && row.id === instance) return nothing;
  if (row !== undefined && (mayLive(row.state) || attempt <= row.attempt)) {
    const message = `node ${id} has ${row.id ?? "a machine"} of attempt ${row.attempt}, which is ${row.state}`;
    return reject("conflict", message, "the leader makes its machines by now");
  }
  return { events: [events.InstanceAdopted.of(id, { attempt, zone, size, instance, address, provider })] };
}

type Record = Attempt & {
  readonly step: "accepted" | "running" | "enrolled";
  readonly instance: string;
  readonly address?: string | undefined;
};

/** `accepted` names it, `running` says where it is. A step that was said already changes nothing. */
export function decideRecord(world: World, command: Record): Decision {
  const { id, attempt, instance, address } = command;
  const row = current(world, command);
  if ("rejected" in row) return row;
  if (row.id !== null && row.id !== instance)
    return reject("conflict", `attempt ${attempt} of ${id} is ${row.id}, not ${instance}`, "remove the wrong one");
  switch (command.step) {
    case "accepted":
      return step(row, events.InstanceAccepted.of(id, { attempt, instance }), ["accepted", "running", "enrolled"]);
    case "running":
      if (address === undefined) return reject("invalid", "a machine that runs has an address", "give it");
      return step(row, events.InstanceRunning.of(id, { attempt, address }), ["running", "enrolled"]);
    default:
      return step(row, events.InstanceEnrolled.of(id, { attempt }), ["enrolled"]);
  }
}

interface Refused {
  readonly tag: string;
  readonly code: string;
  readonly requestId: string;
  readonly message: string;
  readonly elsewhere?: true | undefined;
}
type Refuse = Attempt & Refused;

export function decideRefuse(world: World, command: Refuse): Decision {
  const row = current(world, command);
  if ("rejected" in row) return row;
  const { id, attempt, tag, code, requestId, message } = command;
  const elsewhere = command.elsewhere === true ? { elsewhere: true as const } : {};
  return step(row, events.InstanceRefused.of(id, { attempt, tag, code, requestId, message, ...elsewhere }), ["refused"]);
}

/** Nothing waits: nothing changes. */
export function decideRetry(world: World, { id }: Command, { actor }: DecideContext): Decision {
  const row = rowOf(world, id);
  if (row === undefined)
    return reject("not_found", `node ${id} has no machine`, "aether cluster instances shows those there are");
  return waits(row) ? step(row, events.InstanceRetried.of(id, { by: `${actor.role}:${actor.name}` })) : nothing;
}

export function decideStop(world: World, command: Attempt & { readonly why: string }): Decision {
  const row = current(world, command);
  if ("rejected" in row) return row;
  const { id, attempt, why } = command;
  return step(row, events.InstanceStopWanted.of(id, { attempt, why }), ["stopping", "stopped"]);
}

export function decideStopped(world: World, command: Attempt): Decision {
  const row = current(world, command);
  if ("rejected" in row) return row;
  return step(row, events.InstanceStopped.of(command.id, { attempt: command.attempt }), ["stopped"]);
}

export function decideRemove(world: World, command: Attempt & { readonly instance: string; readonly why: string }): Decision {
  const row = current(world, command);
  if ("rejected" in row) return row;
  const { id, attempt, instance, why } = command;
  if (row.id !== null && row.id !== instance)
    return reject("conflict", `attempt ${attempt} of ${id} is ${row.id}, not ${instance}`, "only what the row names is removed");
  return step(row, events.InstanceRemovalWanted.of(id, { attempt, instance, why }), ["removing"]);
}

export function decideGone(world: World, command: Attempt & { readonly how: string }): Decision {
  const row = current(world, command);
  if ("rejected" in row) return row;
  const { id, attempt, how } = command;
  const node = nodeOf(world, id);
  const fruitless = node === undefined || node.left || hasJoined(node) ? 0 : row.fruitless + 1;
  return step(row, events.InstanceGone.of(id, { attempt, how, fruitless }), ["gone"]);
}
