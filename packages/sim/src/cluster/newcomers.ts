/** A node without a number asks to be taken in, as a daemon without a data folder does, until it is given one. */
import type { Command } from "@aether/core/kernel/command";
import { findPlace, type Place } from "@aether/node/daemon/take-in";
import type { PeerNotes } from "@aether/node/member/peer-notes";
import type { Seat } from "@aether/node/member/seats";
import type { Cluster } from "./cluster.ts";
import { addressOf, clusterName } from "./names.ts";
import type { SimNode } from "./node.ts";
import { gather } from "./notes.ts";

const askMs = 600;
/** A seed that does not answer within this is not waited for. */
const commandMs = 1_500;

/**
 * Keeps asking while the node has no number: first what its row says, then to be taken in. Every answer may be lost; then the number
 * it named is never used.
 */
export function takeIn(cluster: Cluster, node: SimNode, done: () => void): void {
  const { world } = cluster;
  if (node.asks) return done();
  node.asks = true;
  const chance = cluster.stream("newcomers");
  let asked = 0;
  /** The folder is being formatted for a number: nothing more is asked meanwhile, as in the product. */
  let formatting = false;
  const ask = async (): Promise<void> => {
    if (cluster.violation !== null || node.gone || node.member !== null) {
      node.asks = false;
      return done();
    }
    const others = cluster.nodes.filter((other) => other !== node);
    const notes = await gather(
      cluster,
      node,
      null,
      others.map(({ name }) => addressOf(name)),
    );
    const place = findPlace(node.name, notes);
    // The answer to the question before may have come while the notes did: a node with a number asks for no other.
    if (node.member !== null) return again();
    if (place.v === "out") node.leave();
    else if (place.v !== "wait" && !formatting && others.length > 0) request(chance.pick(others), place, seatsOf(notes));
    world.after(place.v === "wait" ? askMs * (0.5 + chance.next()) : commandMs, null, "ask again", again);
  };
  const again = (): void => void ask().catch((error: unknown) => cluster.failed(error));
  const request = (target: SimNode, place: Place, seats: readonly Seat[]): void => {
    asked += 1;
    const question = asked;
    const address = addressOf(node.name);
    const rejoin = place.v === "rejoin" ? { member: place.old, verdict: node.verdict } : {};
    const command: Command = { type: place.v === "rejoin" ? "RejoinNode" : "JoinNode", id: node.name, address, ...rejoin };
    const actor = { name: node.name, role: "member" } as const;
    const key = { client: `member:${node.name}`, id: `take-in-${question}-${world.now}` };
    cluster.call(target, { command, actor, request: key }, (answer) => {
      // A late answer names a number that a later question may have retired.
      if (answer.ok && question === asked) adopt((answer.answer as { readonly member: number }).member, seats);
    });
  };
  const adopt = (member: number, seats: readonly Seat[]): void => {
    if (formatting) return;
    formatting = true;
    const begin = (adopted: boolean): void => {
      formatting = false;
      if (!adopted) return;
      world.tell(node.name, `is taken in as member ${member}`);
      node.start();
    };
    const self = { name: node.name, member, address: addressOf(node.name) };
    const known = [...seats.filter(({ name }) => name !== node.name), self];
    node.format(member, null, known).then(begin, (error: unknown) => cluster.failed(error));
  };
  again();
}

/** Whom the one that has applied most knows of. */
function seatsOf(notes: readonly PeerNotes[]): readonly Seat[] {
  const best = notes.toSorted((a, b) => b.applied - a.applied)[0];
  return (best?.nodes ?? []).flatMap(({ name, member, address }) => (address === null ? [] : [{ name, member, address }]));
}

/** Submits as an operator until the command is taken, at whoever leads by then. */
export function insist(cluster: Cluster, command: Command, done: () => void = () => undefined): void {
  const { world } = cluster;
  const actor = { name: "operator", role: "operator" } as const;
  let over = false;
  const ask = (): void => {
    if (over || cluster.violation !== null) return;
    world.after(300, null, "insist", ask);
    const leader = cluster.leader();
    if (leader === undefined) return;
    cluster.call(leader.node, { command, actor, request: null }, (answer) => {
      if (over || !answer.ok) return;
      over = true;
      done();
    });
  };
  ask();
}

/** What makes the first members one cluster. */
export function initialise(cluster: Cluster, id: string, done: () => void): void {
  const members = cluster.nodes.map(({ name, member }) => ({ name, member, address: addressOf(name) }));
  const fields = { clusterId: id, size: members.length, provider: "local", configuration: {}, members };
  const ready = (): void => insist(cluster, { type: "MarkClusterReady", id: clusterName }, done);
  insist(cluster, { type: "InitialiseCluster", id: clusterName, ...fields }, ready);
}
