/** The rules of nodes: who may come, go and pause, and when the cluster can spare one. */
import { reject, type Command, type DecideContext, type Decision, type Rejection } from "../kernel/command.ts";
import type { DomainEvent } from "../kernel/event.ts";
import type { World } from "../kernel/world.ts";
import { theCluster } from "../cluster/state.ts";
import { MemberMinted } from "../cluster/events.ts";
import * as events from "./events.ts";
import { quorumWithout } from "./quorum.ts";
import { hasJoined, type NodeRow } from "./state.ts";
import { contactEvent, dutyAfter, type Contact, type Duty } from "./transitions.ts";

const nothing: Decision = { events: [] };
const rowOf = (world: World, name: string): NodeRow | undefined => world.get<NodeRow>("node", name)?.row;

/** The row, or the refusal that there is none. */
function need(world: World, name: string): NodeRow | Rejection {
  return (
    rowOf(world, name) ??
    reject(
      "not_found",
      `there is no node ${name}`,
      "aether node list shows those there are; aether cluster scale makes room for more",
    )
  );
}

/** The event if the table allows it from where the node is; otherwise a refusal with `hint`. */
function step(row: NodeRow, event: DomainEvent, hint: string): Decision {
  if (dutyAfter(row.duty, event.type) !== undefined && !row.left) return { events: [event] };
  return illegal(row, event.type, hint);
}

const illegal = (row: NodeRow, event: string, hint: string): Rejection =>
  reject("illegal_transition", `node ${row.name} ${row.left ? "has left" : `is ${row.duty}`}: ${event} is not possible`, hint);

/** A member's certificate speaks for its own node only. */
function notItself(name: string, context: DecideContext): Rejection | null {
  if (context.actor.name === name) return null;
  const message = `${context.actor.name} cannot join as ${name}`;
  return reject("forbidden", message, "a node joins with the certificate of its own name");
}

export function decideJoin(world: World, command: Command & { readonly address: string }, context: DecideContext): Decision {
  const foreign = notItself(command.id, context);
  if (foreign !== null) return foreign;
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  const { member } = row;
  if (!row.left && hasJoined(row)) {
    const message = `node ${row.name} has joined already, as member ${member}`;
    return reject("conflict", message, "a node without its data folder comes back with RejoinNode, under a new number");
  }
  const joined = events.NodeJoined.of(row.name, { member, address: command.address });
  const decision = step(row, joined, "aether cluster scale makes room for a new node");
  return "rejected" in decision ? decision : { ...decision, answer: { member } };
}

type Rejoin = Command & { readonly member: number; readonly verdict: string; readonly address: string };

/**
 * A number is for one disk: whoever asks again gets another new one, because nobody can tell whether the disk that was
 * given the last one has promised something under it.
 */
export function decideRejoin(world: World, command: Rejoin, context: DecideContext): Decision {
  const foreign = notItself(command.id, context);
  if (foreign !== null) return foreign;
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (!hasJoined(row))
    return reject("conflict", `node ${row.name} has not joined yet`, "a node that is expected comes with JoinNode");
  if (command.member !== row.member) {
    const message = `node ${row.name} is member ${row.member} by now, not ${command.member}`;
    return reject("stale", message, "read the node's row again: another daemon may be running under this name");
  }
  const cluster = theCluster(world);
  if (cluster === undefined) throw new Error(`node ${row.name} has a row, but there is no cluster`);
  const member = cluster.row.nextMember;
  const { address, verdict: why } = command;
  const replaced = events.NodeMemberReplaced.of(row.name, { old: row.member, member, address, why });
  const decision = step(row, replaced, "only a node that is joining or on duty comes back by itself: undrain it first");
  if ("rejected" in decision) return decision;
  return { events: [...decision.events, MemberMinted.of(cluster.id, { member, node: row.name })], answer: { member } };
}

/** Answers what the leader saw of `member`; it is void if the node has gone on as another. */
export function decideAdmit(world: World, command: Command & { readonly member: number }): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  const stale = otherMember(row, command.member);
  if (stale !== null) return stale;
  if (row.duty === "on-duty") return nothing;
  if (!hasJoined(row))
    return reject("conflict", `node ${row.name} has not joined yet`, "its daemon joins by itself once it runs");
  return step(row, events.NodeAdmitted.of(row.name, { member: row.member }), "only a joining node is admitted");
}

const otherMember = (row: NodeRow, member: number): Rejection | null =>
  row.member === member
    ? null
    : reject("stale", `node ${row.name} is member ${row.member}, not ${member}`, "look at its row again");

export function decideDrain(world: World, command: Command & { readonly reason?: string | undefined }): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (!row.left && (row.duty === "draining" || row.duty === "decommissioned")) return nothing;
  const started = events.NodeDrainStarted.of(row.name, { reason: command.reason ?? "" });
  const decision = step(row, started, "only a node on duty can be drained");
  return "rejected" in decision ? decision : (atRisk(world, row, "drain it") ?? decision);
}

/** The refusal when a quorum would not hold without the node, or null. */
export function atRisk(world: World, row: NodeRow, what: string): Rejection | null {
  const { others, needed, available, holds } = quorumWithout(world, row.name);
  if (holds) return null;
  const have = available.length === 0 ? "none is" : `only ${available.join(", ")} ${available.length === 1 ? "is" : "are"}`;
  const message = `node ${row.name}: of the ${others} other voters ${needed} must be on duty and reachable, and ${have}`;
  return reject(
    "quorum_at_risk",
    message,
    `bring others back on duty (aether node undrain, aether cluster start) or add nodes before you ${what}`,
  );
}

export function decideCompleteDrain(world: World, command: Command): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (!row.left && row.duty === "decommissioned") return nothing;
  return step(row, events.NodeDrained.of(row.name, {}), "only a draining node can be done draining");
}

export function decideUndrain(world: World, command: Command): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (!row.left && row.duty === "on-duty") return nothing;
  const back: readonly Duty[] = ["draining", "decommissioned"];
  return step(
    row,
    events.NodeDrainCancelled.of(row.name, {}),
    `only a node that is ${back.join(" or ")} can be put back on duty`,
  );
}

type ShutDown = Command & { readonly force?: boolean | undefined; readonly reason?: string | undefined };

export function decideShutDown(world: World, command: ShutDown): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (!row.left && row.duty === "shutting-down") return nothing;
  const { force = false, reason = "" } = command;
  if (force && reason.trim() === "") {
    return reject("invalid", `node ${row.name}: a forced shutdown needs a reason`, "say why: it stays in the history");
  }
  if (!force && row.duty !== "decommissioned") {
    return illegal(row, "NodeShutdownStarted", `drain it first: aether node drain ${row.name}; or use force and a reason`);
  }
  const started = events.NodeShutdownStarted.of(row.name, { forced: force, reason });
  const decision = step(row, started, "it is on its way out already");
  if ("rejected" in decision) return decision;
  return lastVoter(world, row) ?? (force ? null : atRisk(world, row, "shut it down")) ?? decision;
}

/** A membership cannot become empty, so somebody must stay that votes, or that is no further from voting than this one. */
function lastVoter(world: World, row: NodeRow): Rejection | null {
  if (!hasJoined(row)) return null;
  const others = [...world.all<NodeRow>("node")].map((stored) => stored.row).filter(({ name }) => name !== row.name);
  const staying = others.filter((other) => !other.left && hasJoined(other) && other.duty !== "shutting-down");
  if (staying.some(({ duty }) => duty !== "joining" || row.duty === "joining")) return null;
  return reject(
    "quorum_at_risk",
    `node ${row.name} is the last voter and cannot leave`,
    "to end the cluster: aether cluster destroy",
  );
}

/** Said by the leader once `member` is out of the membership. */
export function decideRecordLeft(world: World, command: Command & { readonly member: number }): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  const stale = otherMember(row, command.member);
  if (stale !== null) return stale;
  if (row.left) return nothing;
  return step(row, events.NodeLeft.of(row.name, { member: row.member }), "only a node that is shutting down leaves");
}

export function decideForget(world: World, command: Command): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (row.left) return { events: [events.NodeForgotten.of(row.name, {})] };
  return illegal(row, "NodeForgotten", `only a node that has left can be forgotten: aether node shutdown ${row.name}`);
}

const contactEvents = { NodeSuspected: events.NodeSuspected, NodeLost: events.NodeLost, NodeReturned: events.NodeReturned };

export function decideContact(world: World, command: Command & { readonly contact: Contact }): Decision {
  const row = need(world, command.id);
  if ("rejected" in row) return row;
  if (row.left) return illegal(row, "contact", "nobody listens for a node that has left");
  const event = contactEvent(row.contact, command.contact);
  return event === undefined ? nothing : { events: [contactEvents[event].of(row.name, {})] };
}
