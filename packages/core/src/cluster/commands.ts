/** What can be asked of the cluster. */
import * as Schema from "effect/Schema";
import { defineCommand } from "../kernel/define.ts";
import { Address, ClusterId, ClusterName, Json, MemberId, NodeName, ProviderName, Size } from "../kernel/fields.ts";
import { sizeMax } from "../kernel/grammar.ts";
import * as rules from "./decide.ts";
import { checkpoint, leader, refusal } from "./events.ts";

const operator = { roles: ["operator"], id: ClusterName } as const;
const member = { roles: ["member"], id: ClusterName } as const;

/** Kinds of refusals in one command. */
export const refusalsMax = 65;

const FirstMember = Schema.Struct({ name: NodeName, member: MemberId, address: Address });
const FirstMembers = Schema.Array(FirstMember).check(
  Schema.isMinLength(1, { expected: `1 to ${sizeMax} members` }),
  Schema.isMaxLength(sizeMax, { expected: `1 to ${sizeMax} members` }),
);
const Refusals = Schema.Array(Schema.Struct(refusal)).check(
  Schema.isMaxLength(refusalsMax, { expected: `at most ${refusalsMax} kinds` }),
);

export const clusterCommands = [
  /** The same cluster again: nothing changes. Refused: `conflict` (another cluster lives here), `invalid` members. */
  defineCommand({
    ...operator,
    type: "InitialiseCluster",
    fields: { clusterId: ClusterId, size: Size, provider: ProviderName, configuration: Json, members: FirstMembers },
    decide: rules.decideInitialise,
  }),
  /** Refused: `not_ready` while a node is not on duty. */
  defineCommand({ ...operator, type: "MarkClusterReady", fields: {}, decide: rules.decideReady }),
  /** Answer {@link rules.ScaleAnswer}. A smaller size is intent only: drain and shut nodes down to get there. */
  defineCommand({ ...operator, type: "ScaleCluster", fields: { size: Size }, decide: rules.decideScale }),
  defineCommand({ ...member, type: "RecordRefusals", fields: { refusals: Refusals }, decide: rules.decideRefusals }),
  /** Refused: `conflict` when a newer one is recorded, `forbidden` when the signer is somebody else. */
  defineCommand({ ...member, type: "RecordCheckpoint", fields: checkpoint, decide: rules.decideCheckpoint }),
  /** Refused: `conflict` for an older term or a second leader in one. */
  defineCommand({ ...member, type: "RecordLeader", fields: leader, decide: rules.decideLeader }),
];
