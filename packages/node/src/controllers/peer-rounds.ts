/**
 * Once a second each member hears the others' notes: it learns floors, compares digests, and finds out whether it still
 * belongs. Rounds never overlap, and a round that hears nobody changes nothing.
 */
import type { CoreStatus, NodeId } from "@aether/raft/types";
import type { EventStore } from "@aether/store/types";
import { floorsOfLeader, type Floors } from "../member/floors.ts";
import type { PeerNotes } from "../member/peer-notes.ts";
import { judgeDeparture, type Departure, type Standing } from "./departure.ts";
import { judgeDigests, type DigestVerdict } from "./digests.ts";

export interface PeerRoundsOptions {
  readonly node: string;
  readonly member: NodeId;
  /** Version of this program. */
  readonly build: string;
  readonly store: EventStore;
  readonly status: () => CoreStatus;
  readonly floors: Floors;
  /** What others say now; silence is left out. */
  readonly ask: () => Promise<readonly PeerNotes[]>;
  /** This node's own row. */
  readonly ownRow: () => Standing["row"];
  readonly onAlone: (verdict: Extract<DigestVerdict, { v: "alone" }>) => void;
  readonly onDeparture: (departure: Exclude<Departure, { v: "belongs" }>) => void;
  readonly onError: (error: Error) => void;
}

export const roundMs = 1_000;

/** Starts the rounds; the function returned ends them. */
export function startPeerRounds(o: PeerRoundsOptions): () => void {
  let busy = false;
  let stopped = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    void runRound(o, () => stopped)
      .catch((error: unknown) => o.onError(error instanceof Error ? error : new Error(String(error))))
      .finally(() => (busy = false));
  }, roundMs);
  return () => {
    stopped = true;
    clearInterval(timer);
  };
}

/** One round: ask, learn, judge. Does nothing more once `stopped`. */
export async function runRound(o: PeerRoundsOptions, stopped: () => boolean): Promise<void> {
  const notes = await o.ask();
  if (stopped()) return;
  raiseFloors(o, notes);
  await o.floors.save();
  if (stopped()) return;
  const { voters, learners } = o.store.membership;
  const own = { applied: o.store.applied, members: [...voters, ...learners], row: o.ownRow() };
  const departure = judgeDeparture(
    o.member,
    own,
    notes.filter((n) => n.initialised).map((n) => standingOf(n, o.node)),
  );
  if (departure.v !== "belongs") return o.onDeparture(departure);
  const alike = notes.filter((n) => n.build === o.build);
  const verdict = judgeDigests({ member: o.member, checkpoints: o.store.checkpoints }, alike, voters);
  if (verdict.v === "alone") o.onAlone(verdict);
}

/** What this member knows as leader, and what the others know of everybody. */
function raiseFloors(o: Pick<PeerRoundsOptions, "floors" | "status">, notes: readonly PeerNotes[]): void {
  for (const [member, floor] of floorsOfLeader(o.status())) o.floors.raise(member, floor);
  for (const note of notes) for (const [member, floor] of Object.entries(note.floors)) o.floors.raise(Number(member), floor);
}

const standingOf = (n: PeerNotes, node: string): Standing => ({
  applied: n.applied,
  members: [...n.voters, ...n.learners],
  row: n.nodes.find((row) => row.name === node),
});
