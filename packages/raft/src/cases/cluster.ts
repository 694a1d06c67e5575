import { becomeCandidate, becomeLeader } from "../core/roles.ts";
import { sendHeartbeats } from "../core/sending.ts";
import type { Envelope, Msg, NodeId } from "../types.ts";
import { Lone, type LoneSetup } from "./lone.ts";

const maxDeliveries = 100_000;

/**
 * Members on a network that a test holds in its hands: messages go in the order they were sent, until none is left, unless a
 * cut, a filter or a hold takes them out. Writes are done at once. A member that is not there swallows what it is sent.
 */
export class Cluster {
  readonly nodes = new Map<NodeId, Lone>();
  readonly held: Envelope[] = [];
  private readonly cuts = new Set<string>();
  private readonly ignored = new Set<Msg["t"]>();
  private readonly holding = new Set<Msg["t"]>();

  add(setup: LoneSetup & { id: NodeId }): Lone {
    const node = new Lone(setup);
    this.nodes.set(setup.id, node);
    return node;
  }

  node(id: NodeId): Lone {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  /** Lets `act` happen on one node and delivers all that follows from it. */
  on(id: NodeId, act: (node: Lone) => void): void {
    const node = this.node(id);
    act(node);
    this.deliver(node.settle());
  }

  /** Lets `act` happen on each of these nodes before anything is delivered. */
  together(ids: readonly NodeId[], act: (node: Lone) => void): void {
    for (const id of ids) act(this.node(id));
    this.deliver(ids.flatMap((id) => this.node(id).settle()));
  }

  deliver(first: readonly Envelope[]): void {
    const queue = [...first];
    for (let n = 0; queue.length > 0; n++) {
      if (n > maxDeliveries) throw new Error("messages never end");
      const e = queue.shift()!;
      const node = this.nodes.get(e.to);
      if (node === undefined || this.lost(e)) continue;
      node.step({ k: "recv", e });
      queue.push(...node.settle());
    }
  }

  cut(a: NodeId, b: NodeId): void {
    this.cuts.add(`${a}>${b}`).add(`${b}>${a}`);
  }

  isolate(id: NodeId): void {
    for (let other = 1; other <= 9; other++) if (other !== id) this.cut(id, other);
  }

  heal(): void {
    this.cuts.clear();
    this.ignored.clear();
  }

  ignore(type: Msg["t"]): void {
    this.ignored.add(type);
  }

  hold(type: Msg["t"]): void {
    this.holding.add(type);
  }

  unhold(): void {
    this.holding.clear();
  }

  releaseHeld(type?: Msg["t"]): void {
    const released = this.held.filter((e) => type === undefined || e.m.t === type);
    this.held.splice(0, this.held.length, ...this.held.filter((e) => !released.includes(e)));
    this.deliver(released);
  }

  /** The leader this node knows, for what upstream would forward. */
  leaderAt(id: NodeId): NodeId {
    return this.node(id).r.leader;
  }

  private lost(e: Envelope): boolean {
    if (this.holding.has(e.m.t)) {
      this.held.push(e);
      return true;
    }
    return this.cuts.has(`${e.from}>${e.to}`) || this.ignored.has(e.m.t);
  }
}

/** Makes a node leader without asking anyone; what it wants to send is forgotten. */
export function forceLeader(node: Lone): void {
  becomeCandidate(node.r);
  becomeLeader(node.r);
  node.settle();
  node.sent.length = 0;
}

export function beat(node: Lone): void {
  sendHeartbeats(node.r);
}

/** Moves the applied index over everything committed. Membership changes among it are the case's own steps. */
export function applyAll(node: Lone): void {
  node.settle();
  for (const e of node.toApply.splice(0)) node.step({ k: "applied", index: e.index, bytes: e.data.length });
}

/** Takes a snapshot of what is applied and cuts the log there. */
export function snapshotAndCompact(node: Lone): void {
  const { log } = node.r;
  const id = { index: log.applied, term: log.knownTerm(log.applied) };
  node.snapshot = { id, membership: node.r.membership(), digest: "d", bytes: 1 };
  void node.log.compact(log.applied);
  node.step({ k: "compacted", index: log.applied });
}
