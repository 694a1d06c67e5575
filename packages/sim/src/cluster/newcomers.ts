/** A node without a number asks to be taken in, as a daemon without a data folder does, until it is given one. */
import type { NodeRow } from "@aether/core/node/state";
import type { Command } from "@aether/core/kernel/command";
import { clusterName, type Cluster } from "./cluster.ts";
import type { SimNode } from "./node.ts";

const askMs = 600;

/** Keeps asking while the node has no number. Every answer may be lost; then the number it named is never used. */
export function takeIn(cluster: Cluster, node: SimNode, done: () => void): void {
  const { world } = cluster;
  const chance = cluster.stream("newcomers");
  let asked = 0;
  const ask = (): void => {
    if (cluster.violation !== null) return;
    if (node.member !== null) return done();
    asked += 1;
    const question = asked;
    world.after(askMs * (0.5 + chance.next()), null, "ask again", ask);
    const target = chance.pick(cluster.nodes);
    // First the row, then the command with the number read: one that comes late is stale by then.
    cluster.reach(target, ({ store }, back) => {
      const row = store.world.get<NodeRow>("node", node.name)?.row;
      if (row !== undefined) back(() => question === asked && request(target, row, question));
    });
  };
  const request = (target: SimNode, { address, member: old }: NodeRow, question: number): void => {
    const asks = { id: node.name, address: `${node.name}:1` };
    const again = { type: "RejoinNode", ...asks, member: old, verdict: "wiped" };
    const command: Command = address === null ? { type: "JoinNode", ...asks } : again;
    const actor = { name: node.name, role: "member" } as const;
    cluster.call(target, { command, actor, request: null }, (answer) => {
      // A late answer names a number that a later question may have retired.
      if (answer.ok && question === asked) adopt((answer.answer as { readonly member: number }).member);
    });
  };
  const adopt = (member: number): void => {
    const begin = (adopted: boolean): void => {
      if (!adopted) return;
      world.tell(node.name, `is taken in as member ${member}`);
      node.start();
    };
    node.format(member, null).then(begin, (error: unknown) => cluster.failed(error));
  };
  ask();
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
  const members = cluster.nodes.map(({ name, member }) => ({ name, member, address: `${name}:1` }));
  const fields = { clusterId: id, size: members.length, provider: "local", configuration: {}, members };
  const ready = (): void => insist(cluster, { type: "MarkClusterReady", id: clusterName }, done);
  insist(cluster, { type: "InitialiseCluster", id: clusterName, ...fields }, ready);
}
