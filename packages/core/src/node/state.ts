/** A node: a running daemon with a name, and the Raft member that it is at the moment. */
import type { DomainEvent } from "../kernel/event.ts";
import { dutyAfter, isContactEvent, type Contact, type Duty } from "./transitions.ts";

export interface RetiredMember {
  readonly member: number;
  /** The verdict on its disk, e.g. "lost-crc" or "wiped". */
  readonly why: string;
}

export interface NodeRow {
  readonly name: string;
  /** Its Raft member number. A replaced disk gets a new one; no number is ever given twice. */
  readonly member: number;
  /** Where others reach it, "host:port"; null until it has joined. */
  readonly address: string | null;
  readonly duty: Duty;
  /** What the leader heard of it lately. A facet of its own: it says nothing about duty. */
  readonly contact: Contact;
  /** Its number is out of the membership, and it ends. */
  readonly left: boolean;
  /** Member numbers that it was before, oldest first, at most {@link retiredMax}. */
  readonly retired: readonly RetiredMember[];
  /** Why it is draining or shutting down, in the operator's words. */
  readonly reason: string;
}

/** Older ones stay in the history; the row keeps what a person may want to see. */
export const retiredMax = 16;

/** Has it ever had a data folder of this cluster? */
export const hasJoined = (row: NodeRow): boolean => row.address !== null;

/** Throws on an event that the transition table does not allow: decide must not have made it. */
export function evolveNode(row: NodeRow | undefined, event: DomainEvent): NodeRow | undefined {
  if (isContactEvent(event.type)) {
    if (row === undefined) throw new Error(`${event.type} of node ${event.id}, which does not exist`);
    return { ...row, contact: contactAfter[event.type] };
  }
  const duty = dutyAfter(row?.duty, event.type);
  if (duty === undefined)
    throw new Error(`${event.type} is not legal for node ${event.id}, which is ${row?.duty ?? "not there"}`);
  if (duty === null) return undefined;
  if (row === undefined) return expected(event);
  return { ...row, duty, ...change(row, event) };
}

const contactAfter = { NodeSuspected: "suspected", NodeLost: "lost", NodeReturned: "reachable" } as const;

const expected = (event: DomainEvent): NodeRow => ({
  name: event.id,
  member: event["member"] as number,
  address: null,
  duty: "joining",
  contact: "unknown",
  left: false,
  retired: [],
  reason: "",
});

/** What an event changes besides the duty. */
function change(row: NodeRow, event: DomainEvent): Partial<NodeRow> {
  switch (event.type) {
    case "NodeJoined":
      return { address: event["address"] as string };
    case "NodeMemberReplaced": {
      const retired = [...row.retired, { member: row.member, why: event["why"] as string }].slice(-retiredMax);
      return { member: event["member"] as number, address: event["address"] as string, contact: "unknown", retired };
    }
    case "NodeRecovered": {
      const retired = [...row.retired, { member: row.member, why: "recovered" }].slice(-retiredMax);
      const { member, address } = event as unknown as { readonly member: number; readonly address: string };
      return { member, address, contact: "unknown", left: false, retired, reason: "" };
    }
    case "NodeAdmitted":
      return { contact: "reachable" };
    case "NodeDrainStarted":
    case "NodeShutdownStarted":
      return { reason: event["reason"] as string };
    case "NodeDrainCancelled":
      return { reason: "" };
    case "NodeLeft":
      return { left: true };
    default:
      return {};
  }
}
