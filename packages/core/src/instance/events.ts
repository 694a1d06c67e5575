/** What happens to the machines of nodes. `attempt` counts those that were ever wanted for a node of this name; it only grows. */
import * as Schema from "effect/Schema";
import { defineEvent } from "../kernel/define.ts";
import { Address, between, ProviderName, text } from "../kernel/fields.ts";

export const attemptMax = 1_000_000;
const attempt = between(1, attemptMax);
const place = { zone: text(64), size: text(64) } as const;
/** The vendor's own name of it. */
const instance = text(512);
const why = text(512);

export const wanted = {
  attempt,
  /** "" where the region has only one place. */
  ...place,
  /** Digest of all that is asked for, so that a later leader notices when it would ask for something else. */
  spec: text(128),
  why,
} as const;
/** Intent: from here on the vendor may have it. */
export const InstanceWanted = defineEvent({
  type: "InstanceWanted",
  v: 1,
  level: 1,
  fields: { ...wanted, provider: ProviderName },
});

export const adopted = { attempt, ...place, instance, address: Address } as const;
/** Bootstrap made it before there was a log to say so; its daemon is a member. */
export const InstanceAdopted = defineEvent({
  type: "InstanceAdopted",
  v: 1,
  level: 1,
  fields: { ...adopted, provider: ProviderName },
});

export const InstanceAccepted = defineEvent({ type: "InstanceAccepted", v: 1, level: 1, fields: { attempt, instance } });
/** `address`: where its daemon is to answer. */
export const InstanceRunning = defineEvent({ type: "InstanceRunning", v: 1, level: 1, fields: { attempt, address: Address } });
/** It has been given its certificate and goes on by itself. */
export const InstanceEnrolled = defineEvent({ type: "InstanceEnrolled", v: 1, level: 1, fields: { attempt } });

export const refused = {
  attempt,
  /** Of the CloudError: Capacity, Quota, Auth, … */
  tag: text(32),
  /** The vendor's own word, and its name of the request; "" where there is none. */
  code: text(256),
  requestId: text(256),
  /** Redacted before it came here. */
  message: text(1_024),
  /** A limit that may be of this zone or size alone: another place is tried next. */
  elsewhere: Schema.optionalKey(Schema.Literal(true)),
} as const;
/** The vendor has surely made none. */
export const InstanceRefused = defineEvent({ type: "InstanceRefused", v: 1, level: 1, fields: refused });
/** An operator wants it tried again now. `by` is "role:name". */
export const InstanceRetried = defineEvent({ type: "InstanceRetried", v: 1, level: 1, fields: { by: text(256) } });

export const InstanceStopWanted = defineEvent({ type: "InstanceStopWanted", v: 1, level: 1, fields: { attempt, why } });
export const InstanceStopped = defineEvent({ type: "InstanceStopped", v: 1, level: 1, fields: { attempt } });

/** Intent: from here on it is not to come back. */
export const InstanceRemovalWanted = defineEvent({
  type: "InstanceRemovalWanted",
  v: 1,
  level: 1,
  fields: { attempt, instance, why },
});

/**
 * The vendor has it no more, or never had it. `fruitless`: attempts in a row, this one included, after which the node has still never
 * joined.
 */
export const InstanceGone = defineEvent({
  type: "InstanceGone",
  v: 1,
  level: 1,
  fields: { attempt, how: text(512), fruitless: between(0, attemptMax) },
});

export const instanceEvents = [
  InstanceWanted,
  InstanceAdopted,
  InstanceAccepted,
  InstanceRunning,
  InstanceEnrolled,
  InstanceRefused,
  InstanceRetried,
  InstanceStopWanted,
  InstanceStopped,
  InstanceRemovalWanted,
  InstanceGone,
];
