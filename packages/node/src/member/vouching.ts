/**
 * Before a restarted member takes part, others vouch for its disk: nobody who could complete a quorum with it may know
 * that it once held more. One voice fewer than a quorum is enough, and costs no availability, because with fewer there
 * is no quorum to take part in. The rule and its limits: docs/internals/members.md.
 */
import type { EntryId, NodeId } from "@aether/raft/types";
import { missingBelow } from "./floors.ts";
import type { PeerNotes } from "./peer-notes.ts";

export interface VouchingQuestion {
  readonly member: NodeId;
  /** Voters as this member's own disk names them, as of `applied`. */
  readonly voters: readonly NodeId[];
  readonly applied: number;
  readonly last: EntryId;
  readonly term: number;
}

export type Vouched = { readonly v: "enough" } | { readonly v: "wait"; readonly have: number; readonly need: number } | Regressed;
export interface Regressed {
  readonly v: "regressed";
  readonly detail: string;
}

/** Judges one round of answers; `notes` are those of every member that answered. */
export function judgeVouchers(q: VouchingQuestion, notes: readonly PeerNotes[]): Vouched {
  for (const note of notes) {
    const missing = missingBelow(note.floors[String(q.member)], q.last, q.term);
    if (missing !== null) return { v: "regressed", detail: `${note.node} knows better: ${missing}` };
  }
  const voters = newestVoters(q, notes);
  const others = voters.filter((id) => id !== q.member);
  if (others.length === 0) return { v: "enough" };
  const need = voters.includes(q.member) ? Math.floor(voters.length / 2) : 1;
  const have = new Set(notes.map((note) => note.member).filter((id) => others.includes(id))).size;
  return have >= need ? { v: "enough" } : { v: "wait", have, need };
}

/** Others may have been replaced while this member was away: whoever has applied most knows who votes by now. */
const newestVoters = (q: VouchingQuestion, notes: readonly PeerNotes[]): readonly NodeId[] =>
  newestNote(q, notes)?.voters ?? q.voters;

export interface VouchingParts {
  readonly question: VouchingQuestion;
  /** One round: what every member says that answers in time; asked at `named` as well, besides where this disk knows of. */
  readonly ask: (named: readonly string[]) => Promise<readonly PeerNotes[]>;
  /** Between two rounds. */
  readonly pause: () => Promise<void>;
  /** Nobody waits for the outcome any more. */
  readonly ended: () => boolean;
  readonly onWaiting: (why: string) => void;
}

/** Others may have come while this member was away: whoever has applied most knows where they are by now. */
function newestAddresses(q: VouchingQuestion, notes: readonly PeerNotes[]): readonly string[] {
  return newestNote(q, notes)?.nodes.flatMap(({ address, left }) => (address === null || left ? [] : [address])) ?? [];
}

const newestNote = (q: VouchingQuestion, notes: readonly PeerNotes[]): PeerNotes | undefined =>
  notes.filter((note) => note.applied > q.applied && note.voters.length > 0).toSorted((a, b) => b.applied - a.applied)[0];

/** Asks round after round until enough have vouched. Why this disk may not take part, or null. */
export async function awaitVouchers(p: VouchingParts): Promise<string | null> {
  let named: readonly string[] = [];
  while (!p.ended()) {
    const notes = await p.ask(named);
    const judged = judgeVouchers(p.question, notes);
    if (judged.v === "regressed") return judged.detail;
    if (judged.v === "enough") return null;
    // Kept when whoever named them is not heard this time.
    const newest = newestAddresses(p.question, notes);
    if (newest.length > 0) named = newest;
    p.onWaiting(`${judged.have} of ${judged.need} other members have vouched for this disk`);
    await p.pause();
  }
  return "the daemon was ended before enough members answered";
}
