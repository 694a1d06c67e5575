/** What can be asked of nodes. Operators say what they want; members report what they see, and speak for themselves only. */
import * as Schema from "effect/Schema";
import { defineCommand } from "../kernel/define.ts";
import { Address, MemberId, NodeName, text } from "../kernel/fields.ts";
import * as rules from "./decide.ts";
import { reasonCharsMax, verdictCharsMax } from "./events.ts";

const operator = { roles: ["operator"], id: NodeName } as const;
const member = { roles: ["member"], id: NodeName } as const;
const reason = Schema.optional(text(reasonCharsMax));
const HeardContact = Schema.Literals(["reachable", "suspected", "lost"]).annotate({ expected: "reachable, suspected or lost" });
const verdict = text(verdictCharsMax);

export const nodeCommands = [
  /** Answer `{member}`. Refused: `not_found` (not expected), `conflict` (joined before), `forbidden` (not its own name). */
  defineCommand({ ...member, type: "JoinNode", fields: { address: Address }, decide: rules.decideJoin }),
  /** Answer `{member}`, a new number every time. Refused: `stale` when `member` is not the row's any more. */
  defineCommand({
    ...member,
    type: "RejoinNode",
    fields: { member: MemberId, verdict, address: Address },
    decide: rules.decideRejoin,
  }),
  /** Refused: `stale` when the node has gone on as another member. */
  defineCommand({ ...member, type: "AdmitNode", fields: { member: MemberId }, decide: rules.decideAdmit }),
  /** Refused: `quorum_at_risk`, `illegal_transition`. Draining already: nothing changes. */
  defineCommand({ ...operator, type: "DrainNode", fields: { reason }, decide: rules.decideDrain }),
  defineCommand({ ...member, type: "CompleteDrain", fields: {}, decide: rules.decideCompleteDrain }),
  defineCommand({ ...operator, type: "UndrainNode", fields: {}, decide: rules.decideUndrain }),
  /** With `force` also without a drain and against the quorum rule, but never the last voter; it needs a reason. */
  defineCommand({
    ...operator,
    type: "ShutDownNode",
    fields: { force: Schema.optional(Schema.Boolean), reason },
    decide: rules.decideShutDown,
  }),
  defineCommand({ ...member, type: "RecordNodeLeft", fields: { member: MemberId }, decide: rules.decideRecordLeft }),
  /** Refused: `illegal_transition` unless it has left. */
  defineCommand({ type: "ForgetNode", roles: ["operator", "member"], id: NodeName, fields: {}, decide: rules.decideForget }),
  defineCommand({ ...member, type: "RecordContact", fields: { contact: HeardContact }, decide: rules.decideContact }),
];
