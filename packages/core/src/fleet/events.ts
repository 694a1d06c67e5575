/** What happens to the machines of a cluster as a whole: what stands in the leader's way, and who is behind the load balancer. */
import * as Schema from "effect/Schema";
import { defineEvent } from "../kernel/define.ts";
import { Index, NodeName, text } from "../kernel/fields.ts";
import { sizeMax } from "../kernel/grammar.ts";

export const areas = ["credentials", "instances", "load_balancer"] as const;
export type Area = (typeof areas)[number];
export const FleetArea = Schema.Literals(areas).annotate({ expected: `one of ${areas.join(", ")}` });

export const troubled = {
  area: FleetArea,
  /** Of the CloudError; "Credentials" where there is none to ask with. */
  tag: text(32),
  code: text(256),
  requestId: text(256),
  /** Redacted before it came here. */
  message: text(1_024),
} as const;
/** Recorded once for each new reason; what can be tried again is. */
export const FleetTroubled = defineEvent({ type: "FleetTroubled", v: 1, level: 1, fields: troubled });
export const FleetMended = defineEvent({ type: "FleetMended", v: 1, level: 1, fields: { area: FleetArea } });

const target = Schema.Struct({ node: NodeName, instance: text(512) });
const targets = Schema.Array(target).check(Schema.isMaxLength(sizeMax * 2, { expected: `at most ${sizeMax * 2} targets` }));
export const targetsWanted = { balancer: text(256), targets } as const;
/** Intent: the balancer's members that are ours are to be exactly these. */
export const TargetsWanted = defineEvent({ type: "TargetsWanted", v: 1, level: 1, fields: targetsWanted });
/** The receipt of the newest intent, recorded at `request`. */
export const reconciled = { request: Index, added: Index, removed: Index } as const;
export const TargetsReconciled = defineEvent({ type: "TargetsReconciled", v: 1, level: 1, fields: reconciled });

export const fleetEvents = [FleetTroubled, FleetMended, TargetsWanted, TargetsReconciled];
