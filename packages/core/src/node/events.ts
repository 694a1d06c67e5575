/** What happens to nodes. */
import * as Schema from "effect/Schema";
import { defineEvent } from "../kernel/define.ts";
import { Address, MemberId, text } from "../kernel/fields.ts";

export const reasonCharsMax = 512;
export const verdictCharsMax = 64;

const reason = text(reasonCharsMax);

/** The cluster waits for a node of this name, and has minted its member number. */
export const NodeExpected = defineEvent({ type: "NodeExpected", v: 1, level: 1, fields: { member: MemberId } });

/** The node has been given its number and listens at this address. */
export const NodeJoined = defineEvent({ type: "NodeJoined", v: 1, level: 1, fields: { member: MemberId, address: Address } });

/** Its disk cannot answer for member `old` any more; it goes on as `member`, with an empty log. `why` is the verdict. */
export const NodeMemberReplaced = defineEvent({
  type: "NodeMemberReplaced",
  v: 1,
  level: 1,
  fields: { old: MemberId, member: MemberId, address: Address, why: text(verdictCharsMax) },
});

/** Its member is a voter: it is on duty. */
export const NodeAdmitted = defineEvent({ type: "NodeAdmitted", v: 1, level: 1, fields: { member: MemberId } });
export const NodeDrainStarted = defineEvent({ type: "NodeDrainStarted", v: 1, level: 1, fields: { reason } });
export const NodeDrained = defineEvent({ type: "NodeDrained", v: 1, level: 1, fields: {} });
export const NodeDrainCancelled = defineEvent({ type: "NodeDrainCancelled", v: 1, level: 1, fields: {} });
/** It is on its way out: hands over leadership, leaves the membership, ends. `forced`: without a finished drain. */
export const NodeShutdownStarted = defineEvent({
  type: "NodeShutdownStarted",
  v: 1,
  level: 1,
  fields: { forced: Schema.Boolean, reason },
});
/** Its number is out of the membership. */
export const NodeLeft = defineEvent({ type: "NodeLeft", v: 1, level: 1, fields: { member: MemberId } });
export const NodeForgotten = defineEvent({ type: "NodeForgotten", v: 1, level: 1, fields: {} });

/**
 * A quorum of its cluster was lost for good and this node's disk is what was left: it goes on as `member`, the only one, whatever its
 * duty was. Written by the recovery itself: no command makes it.
 */
export const NodeRecovered = defineEvent({
  type: "NodeRecovered",
  v: 1,
  level: 1,
  fields: { old: MemberId, member: MemberId, address: Address },
});

/** Silent for a while. Nothing is done to it because of that. */
export const NodeSuspected = defineEvent({ type: "NodeSuspected", v: 1, level: 1, fields: {} });
/** Silent for long. Lost contact never means failed. */
export const NodeLost = defineEvent({ type: "NodeLost", v: 1, level: 1, fields: {} });
export const NodeReturned = defineEvent({ type: "NodeReturned", v: 1, level: 1, fields: {} });

export const nodeEvents = [
  NodeExpected,
  NodeJoined,
  NodeMemberReplaced,
  NodeAdmitted,
  NodeDrainStarted,
  NodeDrained,
  NodeDrainCancelled,
  NodeShutdownStarted,
  NodeLeft,
  NodeForgotten,
  NodeRecovered,
  NodeSuspected,
  NodeLost,
  NodeReturned,
];
