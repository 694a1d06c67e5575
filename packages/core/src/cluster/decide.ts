/** The rules of the cluster row: it is made once, grows by intent, and remembers what its members report. */
import { reject, type Command, type DecideContext, type Decision, type Rejection } from "../kernel/command.ts";
import type { DomainEvent, Identity } from "../kernel/event.ts";
import type { Provider } from "../kernel/grammar.ts";
import type { World } from "../kernel/world.ts";
import { NodeExpected, NodeJoined } from "../node/events.ts";
import { InstanceRetried } from "../instance/events.ts";
import { waits, type InstanceRow } from "../instance/state.ts";
import type { NodeRow } from "../node/state.ts";
import { SettingChanged } from "../setting/events.ts";
import { thresholds } from "../setting/thresholds.ts";
import * as events from "./events.ts";
import { theCluster, type Checkpoint, type ClusterRow, type Leader, type Refusal } from "./state.ts";

/** The level that a new cluster starts with: everything this version knows. */
export const featureLevel = 1;
/** Rows of nodes, those that have left included. */
export const nodesMax = 1_000;

const nothing: Decision = { events: [] };
const noCluster = (name: string): Rejection =>
  reject("not_found", `there is no cluster ${name} here`, "aether cluster bootstrap initialises it");
const rowOf = (world: World, name: string): ClusterRow | undefined => world.get<ClusterRow>("cluster", name)?.row;

export interface FirstMember {
  readonly name: string;
  readonly member: number;
  readonly address: string;
}

type Initialise = Command & {
  readonly clusterId: string;
  readonly size: number;
  readonly provider: Provider;
  readonly configuration: unknown;
  readonly members: readonly FirstMember[];
};

export function decideInitialise(world: World, command: Initialise): Decision {
  const { id, clusterId, size, provider, configuration, members } = command;
  const there = theCluster(world);
  if (there !== undefined) {
    if (there.row.clusterId === clusterId && there.id === id) return nothing;
    const message = `these nodes are cluster ${there.id} (${there.row.clusterId}), not ${id} (${clusterId})`;
    return reject("conflict", message, "choose other nodes, or destroy that cluster first");
  }
  const fault = memberFault(size, members);
  if (fault !== null)
    return reject("invalid", `members: ${fault}`, "give each of the first members its own name, number and address");
  const nextMember = Math.max(...members.map(({ member }) => member)) + 1;
  const first: DomainEvent[] = [
    events.ClusterInitialised.of(id, { clusterId, size, provider, featureLevel, nextMember, configuration }),
    events.ArtifactRootCreated.of(id, { root: `/artifacts/${clusterId}` }),
  ];
  for (const { key, default: value, description } of thresholds) {
    if (world.get("setting", key) === undefined) first.push(SettingChanged.of(key, { value, description }));
  }
  for (const { name, member, address } of members) {
    first.push(NodeExpected.of(name, { member }), NodeJoined.of(name, { member, address }));
  }
  return { events: first };
}

function memberFault(size: number, members: readonly FirstMember[]): string | null {
  if (members.length !== size) return `${members.length} are given for a cluster of ${size}`;
  for (const field of ["name", "member", "address"] as const) {
    if (new Set(members.map((one) => one[field])).size !== members.length) return `two have the same ${field}`;
  }
  return null;
}

export function decideReady(world: World, { id }: Command): Decision {
  const row = rowOf(world, id);
  if (row === undefined) return noCluster(id);
  if (row.state === "ready") return nothing;
  const waiting = nodes(world).filter((node) => !node.left && node.duty !== "on-duty");
  if (waiting.length === 0) return { events: [events.ClusterReady.of(id, {})] };
  const list = waiting.map(({ name, duty }) => `${name} is ${duty}`).join(", ");
  return reject("not_ready", `cluster ${id}: ${list}`, "wait until every node is on duty");
}

const nodes = (world: World): readonly NodeRow[] =>
  [...world.all<NodeRow>("node")].map(({ row }) => row).toSorted((a, b) => a.member - b.member);

/** What {@link decideScale} answers: whom to start, how many must go, and what to think about. */
export interface ScaleAnswer {
  readonly size: number;
  /** Nodes that the cluster waits for and that have never joined, those of an earlier run included. */
  readonly expected: readonly { readonly name: string; readonly member: number }[];
  /** Nodes that must be drained and shut down to come down to the size. */
  readonly surplus: number;
  readonly warnings: readonly string[];
}

/** Whose machines were refused and wait: to scale is to say that they are to be tried again. */
function retried(world: World, names: readonly string[], { role, name }: Identity): readonly DomainEvent[] {
  const waiting = names.filter((node) => waits(world.get<InstanceRow>("instance", node)?.row));
  return waiting.map((node) => InstanceRetried.of(node, { by: `${role}:${name}` }));
}

export function decideScale(world: World, command: Command & { readonly size: number }, { actor }: DecideContext): Decision {
  const { id, size } = command;
  const row = rowOf(world, id);
  if (row === undefined) return noCluster(id);
  if (row.state !== "ready")
    return reject("not_ready", `cluster ${id} is still forming`, "let aether cluster bootstrap finish first");
  const all = nodes(world);
  const staying = all.filter((node) => !node.left && node.duty !== "shutting-down");
  const missing = Math.max(0, size - staying.length);
  if (all.length + missing > nodesMax) {
    return reject("too_many", `there are ${all.length} nodes on record, ${nodesMax} at most`, "forget some that have left");
  }
  const fresh = freshNames(all, missing).map((name, at) => ({ name, member: row.nextMember + at }));
  const expected = staying.filter(({ address }) => address === null).map(({ name, member }) => ({ name, member }));
  const answer: ScaleAnswer = {
    size,
    expected: [...expected, ...fresh],
    surplus: Math.max(0, staying.length - size),
    warnings: size % 2 === 0 ? [`${size} members survive no more failures than ${size - 1}: an odd size is better`] : [],
  };
  const again = retried(
    world,
    answer.expected.map(({ name }) => name),
    actor,
  );
  if (size === row.size && missing === 0) return { events: again, answer };
  const scaled = events.ClusterScaled.of(id, { from: row.size, size, nextMember: row.nextMember + missing });
  return { events: [scaled, ...fresh.map(({ name, member }) => NodeExpected.of(name, { member })), ...again], answer };
}

/** n1, n2, …: the lowest that no row has, that of a node which has left included. */
function freshNames(all: readonly NodeRow[], count: number): readonly string[] {
  const taken = new Set(all.map(({ name }) => name));
  const names: string[] = [];
  for (let at = 1; names.length < count; at++) if (!taken.has(`n${at}`)) names.push(`n${at}`);
  return names;
}

export function decideRefusals(world: World, command: Command & { readonly refusals: readonly Refusal[] }): Decision {
  if (rowOf(world, command.id) === undefined) return noCluster(command.id);
  const { id, refusals } = command;
  return {
    events: refusals.map(({ what, identity, address, count }) => events.AccessRefused.of(id, { what, identity, address, count })),
  };
}

type RecordCheckpoint = Command & Omit<Checkpoint, "index"> & { readonly certificate: string; readonly signature: string };

export function decideCheckpoint(world: World, command: RecordCheckpoint, context: DecideContext): Decision {
  const row = rowOf(world, command.id);
  if (row === undefined) return noCluster(command.id);
  const { id, upTo, chain, state, signer, certificate, signature } = command;
  if (signer !== context.actor.name) return notYours("sign", signer, context);
  const before = row.checkpoint;
  if (before !== null && upTo <= before.upTo) {
    if (upTo === before.upTo && chain === before.chain && state === before.state) return nothing;
    return reject("conflict", `there is a checkpoint up to ${before.upTo} already; this one ends at ${upTo}`, "take a newer one");
  }
  return { events: [events.CheckpointRecorded.of(id, { upTo, chain, state, signer, certificate, signature })] };
}

const notYours = (what: string, name: string, context: DecideContext): Rejection =>
  reject("forbidden", `${context.actor.name} cannot ${what} for ${name}`, "a member speaks for itself only");

export function decideLeader(world: World, command: Command & Leader, context: DecideContext): Decision {
  const row = rowOf(world, command.id);
  if (row === undefined) return noCluster(command.id);
  const { id, node, member, term } = command;
  if (node !== context.actor.name) return notYours("lead", node, context);
  const before = row.leader;
  if (before !== null && term <= before.term) {
    if (term === before.term && member === before.member && node === before.node) return nothing;
    return reject(
      "conflict",
      `${before.node} was recorded as leader in term ${before.term}`,
      "a term has one leader, and terms only grow",
    );
  }
  return { events: [events.LeaderElected.of(id, { node, member, term })] };
}
