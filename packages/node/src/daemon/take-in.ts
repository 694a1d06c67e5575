/**
 * How a node without a data folder comes into a running cluster: it asks its seeds what the cluster's row for its name
 * says, and has itself taken in under a member number of which no disk has ever promised anything.
 */
import { randomUUID } from "node:crypto";
import { failpoints } from "@aether/core/kernel/failpoint";
import type { NodeId } from "@aether/raft/types";
import { gatherNotes, type PeerNotes } from "../member/peer-notes.ts";
import type { PeerHttp } from "../member/peer-http.ts";
import type { Seat } from "../member/seats.ts";

/** What the rows say is to be done. */
export type Place =
  | { readonly v: "wait"; readonly why: string }
  | { readonly v: "join" }
  | { readonly v: "rejoin"; readonly old: NodeId }
  | { readonly v: "out"; readonly why: string };

/** Judges the notes of whoever answered, by whoever of them has applied most. */
export function findPlace(name: string, notes: readonly PeerNotes[]): Place {
  const best = notes.toSorted((a, b) => b.applied - a.applied)[0];
  if (best === undefined) return { v: "wait", why: "no seed answers" };
  if (!best.initialised) return { v: "wait", why: "there is no cluster yet" };
  const row = best.nodes.find((node) => node.name === name);
  if (row === undefined) return { v: "wait", why: "the cluster does not expect this node" };
  if (row.left || row.duty === "shutting-down") return { v: "out", why: row.left ? "it has left" : "it is shutting down" };
  return row.joined ? { v: "rejoin", old: row.member } : { v: "join" };
}

export interface TakeInOptions {
  readonly http: PeerHttp;
  readonly clusterId: string;
  readonly name: string;
  /** Where this node listens, as others reach it. */
  readonly advertise: string;
  readonly seeds: readonly Seat[];
  /** Why there is no folder: "wiped", or the verdict that retired it, e.g. "lost-crc". */
  readonly verdict: string;
}

export type TakenIn =
  | { readonly v: "member"; readonly member: NodeId; readonly members: readonly Seat[] }
  | { readonly v: "wait"; readonly why: string }
  | { readonly v: "out"; readonly why: string };

const askMs = 2_000;
const commandMs = 12_000;

/** One round: looks for its place and, if there is one, asks to be taken in. Each round that is answered mints its own number. */
export async function askToBeTakenIn(o: TakeInOptions): Promise<TakenIn> {
  const addresses = o.seeds.filter((seed) => seed.name !== o.name).map((seed) => seed.address);
  const notes = await gatherNotes(o.http, o.clusterId, addresses, askMs);
  const place = findPlace(o.name, notes);
  if (place.v === "wait" || place.v === "out") return place;
  const command =
    place.v === "join"
      ? { type: "JoinNode", id: o.name, address: o.advertise }
      : { type: "RejoinNode", id: o.name, member: place.old, verdict: o.verdict, address: o.advertise };
  // The same key at the next seed: a number that was minted while the connection broke is not minted twice.
  const requestKey = randomUUID();
  const members = seatsOf(notes);
  for (const address of addresses) {
    const reply = await o.http.ask("POST", address, "/v1/commands", commandMs, command, requestKey);
    if (!reply.ok || reply.status >= 500) continue;
    if (reply.status !== 200) return { v: "wait", why: `${command.type} was refused: ${JSON.stringify(reply.body)}` };
    const member = (reply.body as { answer?: { member?: unknown } }).answer?.member;
    if (typeof member !== "number") return { v: "wait", why: `${command.type} was answered without a member number` };
    await failpoints.at?.("afterMint");
    return { v: "member", member, members };
  }
  return { v: "wait", why: `no seed took ${command.type}` };
}

function seatsOf(notes: readonly PeerNotes[]): readonly Seat[] {
  const best = notes.toSorted((a, b) => b.applied - a.applied)[0];
  return (best?.nodes ?? []).flatMap(({ name, member, address }) => (address === null ? [] : [{ name, member, address }]));
}
