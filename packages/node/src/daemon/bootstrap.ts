/**
 * POST /v1/bootstrap: makes this node's folder that of a first voter. It is the only way to a log whose first entry
 * names the voters, so it refuses wherever a cluster could already exist.
 */
import type * as shapes from "@aether/core/api/shapes";
import { reject, type Rejection } from "@aether/core/kernel/command";
import type { PeerNotes } from "../member/peer-notes.ts";

export type BootstrapRequest = typeof shapes.BootstrapRequest.Type;

const firstVotersMax = 7;

export interface BootstrapFacts {
  readonly clusterId: string;
  readonly clusterName: string;
  readonly node: string;
  readonly member: number;
  /** Data of an earlier member lies in this folder, or was found unusable since start. */
  readonly hadMember: boolean;
}

/** Whether the request can be meant for this node at all. Null when it can. */
export function judgeBootstrap(r: BootstrapRequest, f: BootstrapFacts): Rejection | null {
  if (r.cluster.id !== f.clusterId || r.cluster.name !== f.clusterName) {
    const ours = `${f.clusterName} (${f.clusterId})`;
    return reject(
      "conflict",
      `this node is configured for cluster ${ours}, not ${r.cluster.name} (${r.cluster.id})`,
      "ask its own cluster's nodes",
    );
  }
  const numbers = new Set(r.members.map((m) => m.member));
  const names = new Set(r.members.map((m) => m.name));
  const { length } = r.members;
  if (length === 0 || length > firstVotersMax || numbers.size !== length || names.size !== length) {
    return reject("invalid", `members: ${length} given; 1 to ${firstVotersMax} with different names and numbers are needed`, "");
  }
  const self = r.members.find((m) => m.name === f.node);
  if (self?.member !== f.member) {
    return reject(
      "conflict",
      `members does not name this node (${f.node}) with its number ${f.member}`,
      "send the same list to every node",
    );
  }
  if (f.hadMember) {
    const hint = "it rejoins by itself under a new number; to start over, delete its data folder";
    return reject("conflict", "data of an earlier member of this node lies in its folder", hint);
  }
  return null;
}

/**
 * Whether anybody who answers knows of a running cluster in which this member number could have made promises. Such a node was
 * wiped and must come back under a new number.
 */
export function judgeWitnesses(member: number, notes: readonly PeerNotes[]): Rejection | null {
  for (const note of notes) {
    const promised = note.floors[String(member)] !== undefined;
    if (!note.initialised && !promised) continue;
    const knows = promised ? `has counted acknowledgements of member ${member}` : "runs in an initialised cluster";
    return reject(
      "conflict",
      `${note.node} ${knows}: this node may not start over under that number`,
      "it is taken in by itself under a new one",
    );
  }
  return null;
}
