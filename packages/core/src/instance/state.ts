/** The machine of a node in a cloud: what was wanted of the vendor and what was seen. The id is the node's name. */
import type { DomainEvent, EventContext } from "../kernel/event.ts";
import type { Provider } from "../kernel/grammar.ts";
import { stateAfter, type InstanceState } from "./transitions.ts";

/** A place that had no room. */
export interface Tried {
  readonly zone: string;
  readonly size: string;
  /** The vendor's own word. */
  readonly code: string;
}

export interface InstanceFault {
  readonly tag: string;
  readonly code: string;
  readonly requestId: string;
  readonly message: string;
  /** Of the entry that recorded it. */
  readonly index: number;
  readonly at: number;
}

export interface InstanceRow {
  readonly node: string;
  readonly provider: Provider;
  /** The newest; rows stay when the machine is gone, because this only grows. */
  readonly attempt: number;
  /** "" where the region has only one place. */
  readonly zone: string;
  readonly size: string;
  readonly state: InstanceState;
  /** The vendor's name of it; null until it has told one. */
  readonly id: string | null;
  readonly address: string | null;
  /** Digest of what was asked for; "" for one that bootstrap made. */
  readonly spec: string;
  /** Why it is there, or goes. */
  readonly why: string;
  /** When it came into this state, Unix milliseconds. */
  readonly since: number;
  /** Places without room since the last that had some, or since all were tried; at most {@link triedMax}. */
  readonly tried: readonly Tried[];
  /** Attempts in a row after which the node has still never joined. */
  readonly fruitless: number;
  /** Why the vendor made none; null once another attempt is wanted. */
  readonly fault: InstanceFault | null;
  /** Nothing is tried until an operator says so. */
  readonly held: boolean;
}

export const triedMax = 64;
/** So many attempts may come to nothing before an operator is waited for. */
export const fruitlessMax = 3;

/** Whether the leader tries nothing until an operator says so, or until it has waited for room. */
export const waits = (row: InstanceRow | undefined): boolean =>
  row !== undefined && (row.held || (row.state === "refused" && row.tried.length > 0));

/** Throws on an event that the table does not allow: decide must not have made it. */
export function evolveInstance(row: InstanceRow | undefined, event: DomainEvent, { index, at }: EventContext): InstanceRow {
  const state = stateAfter(row?.state, event.type);
  if (state === undefined)
    throw new Error(`${event.type} is not legal for the instance of ${event.id}, which is ${row?.state ?? "not there"}`);
  const since = state === row?.state ? row.since : at;
  if (event.type === "InstanceWanted" || event.type === "InstanceAdopted") return { ...begun(row, event), state, since };
  if (row === undefined) throw new Error(`${event.type} of the instance of ${event.id}, which does not exist`);
  return { ...row, ...change(row, event, { index, at }), state, since };
}

function begun(row: InstanceRow | undefined, event: DomainEvent): Omit<InstanceRow, "state" | "since"> {
  const { attempt, zone, size, provider } = event as unknown as Pick<InstanceRow, "attempt" | "zone" | "size" | "provider">;
  const isAgain = row?.tried.some((one) => one.zone === zone && one.size === size) === true;
  const isAdopted = event.type === "InstanceAdopted";
  return {
    node: event.id,
    provider,
    attempt,
    zone,
    size,
    id: isAdopted ? (event["instance"] as string) : null,
    address: isAdopted ? (event["address"] as string) : null,
    spec: isAdopted ? "" : (event["spec"] as string),
    why: isAdopted ? "made by bootstrap" : (event["why"] as string),
    tried: isAgain || isAdopted ? [] : (row?.tried ?? []),
    fruitless: isAdopted ? 0 : (row?.fruitless ?? 0),
    fault: null,
    held: false,
  };
}

/** What an event changes besides the state. */
function change(
  row: InstanceRow,
  event: DomainEvent,
  entry: { readonly index: number; readonly at: number },
): Partial<InstanceRow> {
  switch (event.type) {
    case "InstanceAccepted":
      return { id: event["instance"] as string, tried: [] };
    case "InstanceRunning":
      return { address: event["address"] as string };
    case "InstanceRefused": {
      const { tag, code, requestId, message } = event as unknown as InstanceFault;
      const { zone, size } = row;
      const fault = { tag, code, requestId, message, ...entry };
      if (tag !== "Capacity" && event["elsewhere"] !== true) return { fault, held: true };
      return { fault, tried: [...row.tried, { zone, size, code }].slice(-triedMax) };
    }
    case "InstanceRetried":
      return { held: false, tried: [], fruitless: 0 };
    case "InstanceStopWanted":
      return { why: event["why"] as string };
    case "InstanceRemovalWanted":
      return { id: event["instance"] as string, why: event["why"] as string };
    case "InstanceGone": {
      const fruitless = event["fruitless"] as number;
      return { why: event["how"] as string, fruitless, held: fruitless >= fruitlessMax, address: null };
    }
    default:
      return {};
  }
}
