/**
 * The life of a node as data. Duty and contact are two facets, each with its own table: lost contact never changes a duty,
 * and no duty says whether anybody hears the node.
 */

export const duties = ["joining", "on-duty", "draining", "decommissioned", "shutting-down"] as const;
export type Duty = (typeof duties)[number];

export const contacts = ["unknown", "reachable", "suspected", "lost"] as const;
export type Contact = (typeof contacts)[number];

export interface DutyTransition {
  /** Null: the node does not exist yet. */
  readonly from: Duty | null;
  readonly event: string;
  /** Null: the node's row ends. */
  readonly to: Duty | null;
  /** Who says so, and on which evidence. */
  readonly by: string;
}

const recovery = "the operator: the cluster's quorum is lost for good, and its disk is what is left";

export const dutyTransitions: readonly DutyTransition[] = [
  { from: null, event: "NodeExpected", to: "joining", by: "operator: bootstrap or scale" },
  { from: "joining", event: "NodeJoined", to: "joining", by: "the node: it has an address and formats its folder" },
  { from: "joining", event: "NodeMemberReplaced", to: "joining", by: "the node: its disk cannot answer for its number" },
  { from: "on-duty", event: "NodeMemberReplaced", to: "joining", by: "the node: its disk cannot answer for its number" },
  { from: "joining", event: "NodeAdmitted", to: "on-duty", by: "leader: its member is a voter" },
  { from: "on-duty", event: "NodeDrainStarted", to: "draining", by: "operator: quorum survives without it" },
  { from: "draining", event: "NodeDrained", to: "decommissioned", by: "leader: it leads and carries nothing" },
  { from: "draining", event: "NodeDrainCancelled", to: "on-duty", by: "operator" },
  { from: "decommissioned", event: "NodeDrainCancelled", to: "on-duty", by: "operator" },
  { from: "decommissioned", event: "NodeShutdownStarted", to: "shutting-down", by: "operator: quorum survives without it" },
  { from: "joining", event: "NodeShutdownStarted", to: "shutting-down", by: "operator, by force, with a reason" },
  { from: "on-duty", event: "NodeShutdownStarted", to: "shutting-down", by: "operator, by force, with a reason" },
  { from: "draining", event: "NodeShutdownStarted", to: "shutting-down", by: "operator, by force, with a reason" },
  { from: "shutting-down", event: "NodeLeft", to: "shutting-down", by: "leader: its member is out of the membership" },
  { from: "shutting-down", event: "NodeForgotten", to: null, by: "operator or leader: it has left" },
  ...duties.map((from) => ({ from, event: "NodeRecovered", to: "on-duty", by: recovery }) as const),
];

const key = (from: Duty | null, event: string): string => `${from ?? ""}/${event}`;
const table = new Map(dutyTransitions.map((row) => [key(row.from, row.event), row.to]));
if (table.size !== dutyTransitions.length) throw new Error("two duty transitions have one start and one event");

/** The duty after the event; null when the row ends; undefined when the table does not allow it. `from` undefined: no node yet. */
export const dutyAfter = (from: Duty | undefined, event: string): Duty | null | undefined => table.get(key(from ?? null, event));

export interface ContactTransition {
  readonly from: Contact;
  readonly event: ContactEvent;
  readonly to: Contact;
}

export type ContactEvent = "NodeSuspected" | "NodeLost" | "NodeReturned";
export const isContactEvent = (type: string): type is ContactEvent =>
  type === "NodeSuspected" || type === "NodeLost" || type === "NodeReturned";

/** A suspicion does not soften a loss; only a word does. */
export const contactTransitions: readonly ContactTransition[] = [
  { from: "unknown", event: "NodeReturned", to: "reachable" },
  { from: "unknown", event: "NodeSuspected", to: "suspected" },
  { from: "unknown", event: "NodeLost", to: "lost" },
  { from: "reachable", event: "NodeSuspected", to: "suspected" },
  { from: "reachable", event: "NodeLost", to: "lost" },
  { from: "suspected", event: "NodeLost", to: "lost" },
  { from: "suspected", event: "NodeReturned", to: "reachable" },
  { from: "lost", event: "NodeReturned", to: "reachable" },
];

/** The event that takes contact `from` to `to`, or undefined when that is no step. */
export const contactEvent = (from: Contact, to: Contact): ContactEvent | undefined =>
  contactTransitions.find((row) => row.from === from && row.to === to)?.event;

/** The duty table as a Mermaid state diagram, for the docs. */
export function renderDutyDiagram(): string {
  const lines = dutyTransitions.map(({ from, event, to }) => `  ${from ?? "[*]"} --> ${to ?? "[*]"}: ${event}`);
  return ["stateDiagram-v2", ...lines, ""]
    .join("\n")
    .replaceAll("on-duty", "on_duty")
    .replaceAll("shutting-down", "shutting_down");
}

/** The duty table as Markdown, for the docs. */
export function renderDutyTable(): string {
  const rows = dutyTransitions.map(({ from, event, to, by }) => `| ${from ?? "–"} | \`${event}\` | ${to ?? "–"} | ${by} |`);
  return ["| from | event | to | by, when |", "|---|---|---|---|", ...rows, ""].join("\n");
}
