/** What happens to the cluster as a whole. */
import { defineEvent } from "../kernel/define.ts";
import { ClusterId, hex, Index, Json, MemberId, NodeName, ProviderName, Size, text } from "../kernel/fields.ts";

/** The cluster exists. `nextMember` is the first number that no first voter has. */
export const ClusterInitialised = defineEvent({
  type: "ClusterInitialised",
  v: 1,
  level: 1,
  fields: {
    clusterId: ClusterId,
    size: Size,
    provider: ProviderName,
    featureLevel: MemberId,
    nextMember: MemberId,
    configuration: Json,
  },
});

/** Where artifacts of this cluster are addressed from. */
export const ArtifactRootCreated = defineEvent({ type: "ArtifactRootCreated", v: 1, level: 1, fields: { root: text(256) } });
export const ClusterReady = defineEvent({ type: "ClusterReady", v: 1, level: 1, fields: {} });

/** The operator wants this many members. Numbers below `nextMember` are minted. */
export const ClusterScaled = defineEvent({
  type: "ClusterScaled",
  v: 1,
  level: 1,
  fields: { from: Size, size: Size, nextMember: MemberId },
});

/** The number is taken, by this node, for ever. */
export const MemberMinted = defineEvent({ type: "MemberMinted", v: 1, level: 1, fields: { member: MemberId, node: NodeName } });

export const refusal = { what: text(128), identity: text(256), address: text(128), count: MemberId } as const;
/** Somebody was turned away, `count` times in the same way since it was last recorded. */
export const AccessRefused = defineEvent({ type: "AccessRefused", v: 1, level: 1, fields: refusal });

export const checkpoint = {
  upTo: Index,
  chain: hex(64, 64),
  state: hex(8, 128),
  signer: NodeName,
  certificate: text(8192),
  signature: text(2048),
} as const;
/** The audit chain up to `upTo`, signed by the member that led. */
export const CheckpointRecorded = defineEvent({ type: "CheckpointRecorded", v: 1, level: 1, fields: checkpoint });

export const leader = { node: NodeName, member: MemberId, term: MemberId } as const;
export const LeaderElected = defineEvent({ type: "LeaderElected", v: 1, level: 1, fields: leader });

/**
 * A quorum was lost for good, and the cluster goes on from one disk: that of node `from`, whose log up to `upTo` (audit digest `chain`) is
 * all that is kept. It has another id from here on, so that nothing of the old one can meet it, and one member. Written by the recovery
 * itself, before anything runs: no command makes it.
 */
export const ClusterRecovered = defineEvent({
  type: "ClusterRecovered",
  v: 1,
  level: 1,
  fields: { from: NodeName, oldClusterId: ClusterId, clusterId: ClusterId, member: MemberId, upTo: Index, chain: hex(64, 64) },
});

export const clusterEvents = [
  ClusterInitialised,
  ArtifactRootCreated,
  ClusterReady,
  ClusterScaled,
  MemberMinted,
  AccessRefused,
  CheckpointRecorded,
  LeaderElected,
  ClusterRecovered,
];
