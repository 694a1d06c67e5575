/** What is said of machines: intents and receipts of the leader, what bootstrap hands over, and an operator's "try again". */
import * as Schema from "effect/Schema";
import { defineCommand } from "../kernel/define.ts";
import { Address, between, NodeName, text } from "../kernel/fields.ts";
import * as rules from "./decide.ts";
import { adopted, attemptMax, refused, wanted } from "./events.ts";

const member = { roles: ["member"], id: NodeName } as const;
const operator = { roles: ["operator"], id: NodeName } as const;
const attempt = between(1, attemptMax);
const instance = text(512);
const why = text(512);
const Step = Schema.Literals(["accepted", "running", "enrolled"]).annotate({ expected: "accepted, running or enrolled" });

export const instanceCommands = [
  /** Refused: `stale` (one may live, or the attempt is not the next), `conflict` (it waits for an operator, or is on its way out). */
  defineCommand({ ...member, type: "WantInstance", fields: wanted, decide: rules.decideWant }),
  /** Refused: `conflict` when the leader has made another since. */
  defineCommand({ ...operator, type: "AdoptInstance", fields: adopted, decide: rules.decideAdopt }),
  defineCommand({
    ...member,
    type: "RecordInstance",
    fields: { attempt, step: Step, instance, address: Schema.optional(Address) },
    decide: rules.decideRecord,
  }),
  /** Only when the vendor has surely made none. */
  defineCommand({ ...member, type: "RefuseInstance", fields: refused, decide: rules.decideRefuse }),
  defineCommand({ ...operator, type: "RetryInstance", fields: {}, decide: rules.decideRetry }),
  defineCommand({ ...member, type: "StopInstance", fields: { attempt, why }, decide: rules.decideStop }),
  defineCommand({ ...member, type: "RecordStopped", fields: { attempt }, decide: rules.decideStopped }),
  defineCommand({ ...member, type: "RemoveInstance", fields: { attempt, instance, why }, decide: rules.decideRemove }),
  defineCommand({ ...member, type: "RecordGone", fields: { attempt, how: text(512) }, decide: rules.decideGone }),
];
