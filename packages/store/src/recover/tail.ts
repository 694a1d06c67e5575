/** What a log holds beyond what it knows to be committed, in words for people. */
import { Kind, type Entry, type Index, type LogView } from "@aether/raft/types";
import { decodeEntry } from "../events/entry-codec.ts";

export interface TailEntry {
  readonly index: Index;
  /** The command's type, or what else made the entry: "LeaderStarted", "MembershipChanged". */
  readonly cause: string;
  /** "role:name"; "" for consensus's own entries. */
  readonly actor: string;
  /** Ids of what it is about: "cpu_warning". */
  readonly things: readonly string[];
}

/** So many are told of one by one, the newest; how many there are is the difference of the indexes. */
export const tailMax = 100;
const thingsMax = 8;
const readBytes = 1024 * 1024;

/** The entries in (committed, upTo], the newest {@link tailMax} of them, ascending. */
export function readTail(log: LogView, committed: Index, upTo: Index): readonly TailEntry[] {
  const told: TailEntry[] = [];
  for (let next = Math.max(committed, upTo - tailMax, log.first() - 1) + 1; next <= upTo;) {
    const page = log.read(next, upTo + 1, readBytes);
    if (page === "compacted") throw new Error(`the log ends at ${upTo} and does not hold ${next}`);
    for (const entry of page) told.push(tell(entry));
    next += page.length;
  }
  return told;
}

function tell({ index, kind, data }: Entry): TailEntry {
  if (kind === Kind.noop) return { index, cause: "LeaderStarted", actor: "", things: [] };
  if (kind === Kind.config) return { index, cause: "MembershipChanged", actor: "", things: [] };
  const { cause, actor, events } = decodeEntry(data);
  const things = [...new Set(events.map(({ id }) => id))].slice(0, thingsMax);
  return { index, cause, actor: `${actor.role}:${actor.name}`, things };
}
